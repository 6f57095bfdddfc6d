// SPDX-License-Identifier: Apache-2.0
#include "devices/uart16550.h"

#include <algorithm>

#include "devices/uart16550_registers.h"

namespace tintype {

using namespace uart16550;

std::uint8_t Uart16550::ReceiveFifo::pop() noexcept {
  const std::uint8_t byte = bytes_[first_];
  first_ = (first_ + 1) % kUartFifoBytes;
  --count_;
  return byte;
}

std::vector<std::uint8_t> Uart16550::ReceiveFifo::contents() const {
  std::vector<std::uint8_t> bytes(count_);
  for (std::size_t i = 0; i < count_; ++i) bytes[i] = bytes_[(first_ + i) % kUartFifoBytes];
  return bytes;
}

Uart16550::Uart16550(std::string name, IrqLine& irq, SerialSink& sink)
    : name_(std::move(name)), irq_(irq), sink_(sink), divisor_(kDivisorOf9600) {}

bool Uart16550::is_divisor_access() const noexcept { return (line_control_ & kDivisorLatch) != 0; }
bool Uart16550::is_fifo_enabled() const noexcept { return (fifo_control_ & kFifoEnable) != 0; }
bool Uart16550::is_loopback() const noexcept { return (modem_control_ & kLoopback) != 0; }
bool Uart16550::is_transmitter_empty() const noexcept { return !transmitter_busy_ || is_loopback(); }
std::size_t Uart16550::receive_capacity() const noexcept { return is_fifo_enabled() ? kUartFifoBytes : 1; }
std::size_t Uart16550::receive_trigger() const noexcept {
  return is_fifo_enabled() ? kTriggerLevels[fifo_control_ >> 6] : 1;
}

// --- the guest's side ---

void Uart16550::bus_read(std::uint64_t offset, std::span<std::byte> data) noexcept {
  const std::lock_guard lock(mutex_);
  for (std::size_t i = 0; i < data.size(); ++i) data[i] = std::byte{read_register(offset + i)};
}

void Uart16550::bus_write(std::uint64_t offset, std::span<const std::byte> data) noexcept {
  const std::lock_guard lock(mutex_);
  for (std::size_t i = 0; i < data.size(); ++i) write_register(offset + i, std::to_integer<std::uint8_t>(data[i]));
}

std::uint8_t Uart16550::read_register(std::uint64_t offset) noexcept {
  switch (offset) {
    case kData:
      return is_divisor_access() ? static_cast<std::uint8_t>(divisor_) : read_received();
    case kInterruptEnable:
      return is_divisor_access() ? static_cast<std::uint8_t>(divisor_ >> 8) : interrupt_enable_;
    case kInterruptIdentity:
      return take_interrupt_identity();
    case kLineControl:
      return line_control_;
    case kModemControl:
      return modem_control_;
    case kLineStatus:
      return take_line_status();
    case kModemStatus:
      return take_modem_status();
    case kScratch:
      return scratch_;
    default:
      return 0xff;
  }
}

void Uart16550::write_register(std::uint64_t offset, std::uint8_t value) noexcept {
  switch (offset) {
    case kData:
      if (!is_divisor_access()) return transmit(value);
      divisor_ = static_cast<std::uint16_t>((divisor_ & 0xff00) | value);
      return;
    case kInterruptEnable:
      if (!is_divisor_access()) return write_interrupt_enable(value);
      divisor_ = static_cast<std::uint16_t>((divisor_ & 0x00ff) | value << 8);
      return;
    case kFifoControl:
      return write_fifo_control(value);
    case kLineControl:
      line_control_ = value;
      return;
    case kModemControl:
      return write_modem_control(value);
    case kScratch:
      scratch_ = value;
      return;
    default:
      return;  // the status registers are read-only
  }
}

std::uint8_t Uart16550::read_received() noexcept {
  if (received_.empty()) return 0;
  const std::uint8_t byte = received_.pop();
  receive_timeout_ = false;
  want_timeout();
  offer_room();
  update_irq();
  return byte;
}

/// The highest cause that is pending and enabled.
std::uint8_t Uart16550::interrupt_cause() const noexcept {
  if ((interrupt_enable_ & kEnableLineStatus) != 0 && overrun_) return kCauseLineStatus;
  if ((interrupt_enable_ & kEnableReceive) != 0) {
    if (received_.size() >= receive_trigger()) return kCauseReceived;
    if (receive_timeout_) return kCauseTimeout;
  }
  if ((interrupt_enable_ & kEnableTransmit) != 0 && transmit_interrupt_) return kCauseTransmit;
  if ((interrupt_enable_ & kEnableModemStatus) != 0 && modem_changes_ != 0) return kCauseModemStatus;
  return kCauseNone;
}

// Reading the register acknowledges the transmit interrupt, but only where that is what it reported.
std::uint8_t Uart16550::take_interrupt_identity() noexcept {
  const std::uint8_t cause = interrupt_cause();
  if (cause == kCauseTransmit) {
    transmit_interrupt_ = false;
    update_irq();
  }
  return is_fifo_enabled() ? cause | kIdentityFifos : cause;
}

std::uint8_t Uart16550::take_line_status() noexcept {
  std::uint8_t status = received_.empty() ? 0 : kDataReady;
  if (is_transmitter_empty()) status |= kTransmitEmpty;
  if (std::exchange(overrun_, false)) {
    status |= kOverrun;
    update_irq();
  }
  return status;
}

/// The four lines from the other side: in loopback, the port's own outputs come back.
std::uint8_t Uart16550::modem_lines() const noexcept {
  if (!is_loopback()) return kSomebodyThere;
  std::uint8_t lines = 0;
  if ((modem_control_ & kRts) != 0) lines |= kCts;
  if ((modem_control_ & kDtr) != 0) lines |= kDsr;
  if ((modem_control_ & kOut1) != 0) lines |= kRing;
  if ((modem_control_ & kOut2) != 0) lines |= kCarrier;
  return lines;
}

std::uint8_t Uart16550::take_modem_status() noexcept {
  const std::uint8_t status = modem_lines() | modem_changes_;
  if (std::exchange(modem_changes_, 0) != 0) update_irq();
  return status;
}

void Uart16550::transmit(std::uint8_t byte) noexcept {
  if (is_loopback()) {
    loop_back(byte);
  } else {
    transmitter_busy_ = !sink_.put(byte);
  }
  transmit_interrupt_ = is_transmitter_empty();
  update_irq();
}

void Uart16550::loop_back(std::uint8_t byte) noexcept {
  if (received_.size() < receive_capacity()) {
    received_.push(byte);
    note_received();
    return;
  }
  overrun_ = true;
  if (!is_fifo_enabled()) received_.replace_last(byte);  // the holding register is overwritten, a full FIFO is not
}

void Uart16550::write_interrupt_enable(std::uint8_t value) noexcept {
  const auto starts = static_cast<std::uint8_t>(value & ~interrupt_enable_);
  interrupt_enable_ = value & kEnableBits;
  if ((starts & kEnableTransmit) != 0 && is_transmitter_empty()) transmit_interrupt_ = true;  // Linux probes for this
  if ((starts & kEnableReceive) != 0) note_received();
  update_irq();
}

void Uart16550::write_fifo_control(std::uint8_t value) noexcept {
  const bool toggles = ((value ^ fifo_control_) & kFifoEnable) != 0;
  const bool enables = (value & kFifoEnable) != 0;
  fifo_control_ = enables ? value & (kFifoEnable | kTriggerBits) : 0;
  if (toggles || (enables && (value & kClearReceiver) != 0)) {
    received_.clear();
    receive_timeout_ = false;
    offer_room();
  }
  note_received();
  update_irq();
}

void Uart16550::write_modem_control(std::uint8_t value) noexcept {
  const std::uint8_t before = modem_lines();
  modem_control_ = value & kModemControlBits;
  const std::uint8_t after = modem_lines();
  auto changes = static_cast<std::uint8_t>((before ^ after) >> 4);
  if ((after & kRing) != 0) changes &= static_cast<std::uint8_t>(~kRingEnded);  // only the end of a ring counts
  modem_changes_ |= changes;
  offer_room();
  update_irq();
}

/// Bytes have come, or the trigger level has: what lies below it counts as timed out at once, since the far
/// end sends all it has.
void Uart16550::note_received() noexcept { receive_timeout_ = is_below_trigger(); }

bool Uart16550::is_below_trigger() const noexcept {
  return is_fifo_enabled() && !received_.empty() && received_.size() < receive_trigger();
}

/// The guest took a byte and left others below the trigger level: if it leaves them there for a while, the
/// pin must rise again.
void Uart16550::want_timeout() noexcept {
  if (timeout_wanted_ || !is_below_trigger() || (interrupt_enable_ & kEnableReceive) == 0) return;
  timeout_wanted_ = true;
  sink_.want_receive_timeout();
}

/// Tells the far end, where it was refused, that half of the FIFO is free.
void Uart16550::offer_room() noexcept {
  if (!input_refused_ || is_loopback() || received_.size() > receive_capacity() / 2) return;
  input_refused_ = false;
  sink_.receive_room();
}

void Uart16550::update_irq() noexcept {
  const bool level = interrupt_cause() != kCauseNone;
  if (level != irq_level_) irq_.set(irq_level_ = level);
}

// --- the far end's side ---

std::size_t Uart16550::receive(std::span<const std::uint8_t> bytes) noexcept {
  const std::lock_guard lock(mutex_);
  std::size_t taken = 0;
  if (!frozen_ && !is_loopback()) {
    for (; taken < bytes.size() && received_.size() < receive_capacity(); ++taken) received_.push(bytes[taken]);
  }
  if (taken < bytes.size()) input_refused_ = true;
  if (taken > 0) {
    note_received();
    update_irq();
  }
  return taken;
}

void Uart16550::transmit_room() noexcept {
  const std::lock_guard lock(mutex_);
  if (frozen_) {
    room_while_frozen_ = true;
  } else if (std::exchange(transmitter_busy_, false)) {
    transmit_interrupt_ = true;
    update_irq();
  }
}

void Uart16550::receive_timeout() noexcept {
  const std::lock_guard lock(mutex_);
  if (frozen_) {
    timeout_while_frozen_ = true;
    return;
  }
  timeout_wanted_ = false;
  note_received();
  update_irq();
}

}  // namespace tintype
