// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <mutex>
#include <vector>

#include "devices/device.h"
#include "devices/irq_line.h"
#include "devices/serial.h"

namespace tintype {

inline constexpr std::size_t kUartFifoBytes = 16;

/// What the guest can see of the port. Output has left the machine the moment the guest wrote it, so there is
/// no transmit FIFO here.
struct Uart16550StateV1 {
  static constexpr std::string_view kType = "uart-16550";
  static constexpr std::uint32_t kVersion = 1;
  std::uint16_t divisor = 0;  ///< of the baud rate, which slows nothing down
  std::uint8_t interrupt_enable = 0;
  std::uint8_t fifo_control = 0;  ///< enable bit and receive trigger level
  std::uint8_t line_control = 0;
  std::uint8_t modem_control = 0;
  std::uint8_t modem_changes = 0;  ///< low half of the modem status register
  std::uint8_t scratch = 0;
  bool overrun = false;
  bool transmit_interrupt = false;     ///< "transmitter empty" has not been reported yet
  bool receive_timeout = false;        ///< bytes lie in the FIFO below the trigger level, and none came for a while
  std::vector<std::uint8_t> received;  ///< oldest first, at most 16
  bool operator==(const Uart16550StateV1&) const = default;
  static void fields(auto& self, auto&& field) {
    field(1, "divisor", self.divisor);
    field(2, "interrupt_enable", self.interrupt_enable);
    field(3, "fifo_control", self.fifo_control);
    field(4, "line_control", self.line_control);
    field(5, "modem_control", self.modem_control);
    field(6, "modem_changes", self.modem_changes);
    field(7, "scratch", self.scratch);
    field(8, "overrun", self.overrun);
    field(9, "transmit_interrupt", self.transmit_interrupt);
    field(10, "receive_timeout", self.receive_timeout);
    field(11, "received", self.received);
  }
};

/// A 16550A: eight byte-wide registers from kCom1Port on (datasheet: National PC16550D). Wider accesses fall
/// apart into bytes at consecutive registers, as on an ISA bus. Differences from the chip: sending takes no
/// time, the line has no noise (no parity or framing errors, no break), and the interrupt pin is not gated by
/// OUT2, since many small kernels forget it.
///
/// vCPU threads call the bus methods, the far end's thread the SerialPort methods; one lock covers all. No
/// system call is made here but those of the IrqLine, and of those only one each time the level of the pin
/// changes.
///
/// While frozen it takes no input and leaves the pin alone; what the far end wanted meanwhile is caught up
/// with in thaw().
class Uart16550 final : public Device, public BusDevice, public SerialPort {
 public:
  /// `name` is that of the saved state: "uart0".
  Uart16550(std::string name, IrqLine& irq, SerialSink& sink);

  void bus_read(std::uint64_t offset, std::span<std::byte> data) noexcept override;
  void bus_write(std::uint64_t offset, std::span<const std::byte> data) noexcept override;

  std::size_t receive(std::span<const std::uint8_t> bytes) noexcept override;
  void transmit_room() noexcept override;
  void receive_timeout() noexcept override;

  void freeze() noexcept override;
  void thaw() noexcept override;

  std::string state_name() const override { return name_; }
  StateRecord save_state() const override;
  void check_state(const StateRecord& record) const override;
  void restore_state(const StateRecord& record) override;

 private:
  /// The bytes that the guest has not read yet.
  class ReceiveFifo {
   public:
    std::size_t size() const noexcept { return count_; }
    bool empty() const noexcept { return count_ == 0; }
    void clear() noexcept { count_ = 0; }
    void push(std::uint8_t byte) noexcept { bytes_[(first_ + count_++) % kUartFifoBytes] = byte; }
    std::uint8_t pop() noexcept;
    void replace_last(std::uint8_t byte) noexcept { bytes_[(first_ + count_ - 1) % kUartFifoBytes] = byte; }
    std::vector<std::uint8_t> contents() const;

   private:
    std::array<std::uint8_t, kUartFifoBytes> bytes_{};
    std::size_t first_ = 0;
    std::size_t count_ = 0;
  };

  std::uint8_t read_register(std::uint64_t offset) noexcept;
  void write_register(std::uint64_t offset, std::uint8_t value) noexcept;
  std::uint8_t read_received() noexcept;
  std::uint8_t take_interrupt_identity() noexcept;
  std::uint8_t take_line_status() noexcept;
  std::uint8_t take_modem_status() noexcept;
  void transmit(std::uint8_t byte) noexcept;
  void loop_back(std::uint8_t byte) noexcept;
  void write_interrupt_enable(std::uint8_t value) noexcept;
  void write_fifo_control(std::uint8_t value) noexcept;
  void write_modem_control(std::uint8_t value) noexcept;

  bool is_divisor_access() const noexcept;
  bool is_fifo_enabled() const noexcept;
  bool is_loopback() const noexcept;
  std::size_t receive_capacity() const noexcept;
  std::size_t receive_trigger() const noexcept;
  std::uint8_t modem_lines() const noexcept;
  std::uint8_t interrupt_cause() const noexcept;
  bool is_transmitter_empty() const noexcept;
  bool is_below_trigger() const noexcept;
  void want_timeout() noexcept;
  void note_received() noexcept;
  void offer_room() noexcept;
  void update_irq() noexcept;

  const std::string name_;
  IrqLine& irq_;
  SerialSink& sink_;

  mutable std::mutex mutex_;  ///< guards all below
  std::uint16_t divisor_;
  std::uint8_t interrupt_enable_ = 0;
  std::uint8_t fifo_control_ = 0;
  std::uint8_t line_control_ = 0;
  std::uint8_t modem_control_ = 0;
  std::uint8_t modem_changes_ = 0;
  std::uint8_t scratch_ = 0;
  bool overrun_ = false;
  bool transmit_interrupt_ = false;
  bool receive_timeout_ = false;
  ReceiveFifo received_;

  // Not part of the guest's machine, but of how this process serves it.
  bool transmitter_busy_ = false;  ///< the sink is full; saved as if it had room again, since the next process's has
  bool input_refused_ = false;     ///< receive() took less than all: receive_room() is owed
  bool timeout_wanted_ = false;    ///< want_receive_timeout() was called and not answered yet
  bool irq_level_ = false;         ///< what the pin was last told
  bool frozen_ = false;
  bool room_while_frozen_ = false;     ///< transmit_room() was called
  bool timeout_while_frozen_ = false;  ///< receive_timeout() was called
};

}  // namespace tintype
