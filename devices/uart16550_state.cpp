// SPDX-License-Identifier: Apache-2.0
// What a checkpoint sees of the UART.
#include "devices/uart16550.h"
#include "devices/uart16550_registers.h"

namespace tintype {

using namespace uart16550;

void Uart16550::freeze() noexcept {
  const std::lock_guard lock(mutex_);
  frozen_ = true;
}

void Uart16550::thaw() noexcept {
  bool had_room = false, had_timeout = false;
  {
    const std::lock_guard lock(mutex_);
    frozen_ = false;
    had_room = std::exchange(room_while_frozen_, false);
    had_timeout = std::exchange(timeout_while_frozen_, false);
    offer_room();
  }
  if (had_room) transmit_room();
  if (had_timeout) receive_timeout();
}

StateRecord Uart16550::save_state() const {
  const std::lock_guard lock(mutex_);
  return to_record(Uart16550StateV1{.divisor = divisor_,
                                    .interrupt_enable = interrupt_enable_,
                                    .fifo_control = fifo_control_,
                                    .line_control = line_control_,
                                    .modem_control = modem_control_,
                                    .modem_changes = modem_changes_,
                                    .scratch = scratch_,
                                    .overrun = overrun_,
                                    .transmit_interrupt = transmit_interrupt_ || transmitter_busy_,
                                    .receive_timeout = receive_timeout_ || (timeout_wanted_ && is_below_trigger()),
                                    .received = received_.contents()});
}

void Uart16550::check_state(const StateRecord& record) const {
  const auto state = from_record<Uart16550StateV1>(record);
  const auto expect = [](bool holds, std::string_view what) {
    if (!holds) throw StateError("the saved state uart-16550 version 1 is damaged: {}", what);
  };
  const bool fifo = (state.fifo_control & kFifoEnable) != 0;
  expect((state.interrupt_enable & ~kEnableBits) == 0, "interrupt_enable has bits that do not exist");
  expect(fifo ? (state.fifo_control & ~(kFifoEnable | kTriggerBits)) == 0 : state.fifo_control == 0,
         "fifo_control has bits that do not stay set");
  expect((state.modem_control & ~kModemControlBits) == 0, "modem_control has bits that do not exist");
  expect((state.modem_changes & ~kChangeBits) == 0, "modem_changes has bits that do not exist");
  expect(state.received.size() <= (fifo ? kUartFifoBytes : 1), "more is received than the FIFO holds");
  expect(!state.receive_timeout || (fifo && !state.received.empty()), "receive_timeout without waiting bytes");
}

void Uart16550::restore_state(const StateRecord& record) {
  const auto state = from_record<Uart16550StateV1>(record);
  const std::lock_guard lock(mutex_);
  divisor_ = state.divisor;
  interrupt_enable_ = state.interrupt_enable;
  fifo_control_ = state.fifo_control;
  line_control_ = state.line_control;
  modem_control_ = state.modem_control;
  modem_changes_ = state.modem_changes;
  scratch_ = state.scratch;
  overrun_ = state.overrun;
  transmit_interrupt_ = state.transmit_interrupt;
  receive_timeout_ = state.receive_timeout;
  received_.clear();
  for (const std::uint8_t byte : state.received) received_.push(byte);
  transmitter_busy_ = timeout_wanted_ = false;
  irq_level_ = interrupt_cause() != kCauseNone;
  irq_.set(irq_level_);  // whatever the pin was told before: the interrupt controllers are new too
  offer_room();
}

}  // namespace tintype
