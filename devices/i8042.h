// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <mutex>

#include "devices/device.h"
#include "devices/irq_line.h"

namespace tintype {

/// What the guest can see of the keyboard controller.
struct I8042StateV1 {
  static constexpr std::string_view kType = "i8042";
  static constexpr std::uint32_t kVersion = 1;
  std::uint8_t status = 0;        ///< status register
  std::uint8_t command_byte = 0;  ///< the controller's configuration
  std::uint8_t output_port = 0;
  std::uint8_t output = 0;           ///< byte waiting at the data port, where status says so
  std::uint8_t pending_command = 0;  ///< command that waits for its parameter; 0: none
  bool operator==(const I8042StateV1&) const = default;
  static void fields(auto& self, auto&& field) {
    field(1, "status", self.status);
    field(2, "command_byte", self.command_byte);
    field(3, "output_port", self.output_port);
    field(4, "output", self.output);
    field(5, "pending_command", self.pending_command);
  }
};

/// The PC's keyboard controller, with nothing plugged in: enough for a kernel's probe to end quickly, and for
/// the old way of rebooting a PC, which is to have this chip pull the processor's reset line (command 0xfe).
/// Whatever is sent to the keyboard comes back as a timeout, as from an empty socket.
///
/// Its two ports are not neighbours: attach data_port() at kI8042DataPort and command_port() at
/// kI8042CommandPort, one port each.
class I8042 final : public PassiveDevice {
 public:
  /// `on_reset` runs on the vCPU thread that asked, and only posts the event to the machine.
  I8042(IrqLine& keyboard_irq, std::function<void()> on_reset);

  BusDevice& data_port() noexcept { return data_port_; }
  BusDevice& command_port() noexcept { return command_port_; }

  std::string state_name() const override { return "i8042"; }
  StateRecord save_state() const override;
  void check_state(const StateRecord& record) const override;
  void restore_state(const StateRecord& record) override;

 private:
  /// One of the two ports: hands a byte in or out.
  class Port final : public BusDevice {
   public:
    Port(I8042& owner, std::uint8_t (I8042::*read)() noexcept, void (I8042::*write)(std::uint8_t) noexcept)
        : owner_(owner), read_(read), write_(write) {}
    void bus_read(std::uint64_t offset, std::span<std::byte> data) noexcept override;
    void bus_write(std::uint64_t offset, std::span<const std::byte> data) noexcept override;

   private:
    I8042& owner_;
    std::uint8_t (I8042::*read_)() noexcept;
    void (I8042::*write_)(std::uint8_t) noexcept;
  };

  std::uint8_t read_data() noexcept;
  std::uint8_t read_status() noexcept;
  void write_data(std::uint8_t value) noexcept;
  void write_command(std::uint8_t command) noexcept;
  bool run_command(std::uint8_t command) noexcept;
  bool take_parameter(std::uint8_t value) noexcept;
  void answer(std::uint8_t value, std::uint8_t extra_status = 0) noexcept;
  void update_irq() noexcept;

  IrqLine& irq_;
  std::function<void()> on_reset_;
  Port data_port_{*this, &I8042::read_data, &I8042::write_data};
  Port command_port_{*this, &I8042::read_status, &I8042::write_command};

  mutable std::mutex mutex_;  ///< guards all below: vCPU threads
  std::uint8_t status_;
  std::uint8_t command_byte_;
  std::uint8_t output_port_;
  std::uint8_t output_ = 0;
  std::uint8_t pending_command_ = 0;
};

}  // namespace tintype
