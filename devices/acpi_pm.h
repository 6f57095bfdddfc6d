// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <functional>
#include <mutex>

#include "devices/device.h"
#include "devices/host_clock.h"
#include "devices/irq_line.h"

namespace tintype {

/// What the guest can see of the power hardware, at one instant.
struct AcpiPmStateV1 {
  static constexpr std::string_view kType = "acpi-pm";
  static constexpr std::uint32_t kVersion = 1;
  std::uint16_t status = 0;        ///< PM1 status
  std::uint16_t enable = 0;        ///< PM1 enable
  std::uint16_t control = 0;       ///< PM1 control, without SCI_EN (always 1) and the bits that read as 0
  std::uint32_t timer = 0;         ///< PM timer, 24 bits
  std::uint8_t reset_control = 0;  ///< last write to the reset port
  bool operator==(const AcpiPmStateV1&) const = default;
  static void fields(auto& self, auto&& field) {
    field(1, "status", self.status);
    field(2, "enable", self.enable);
    field(3, "control", self.control);
    field(4, "timer", self.timer);
    field(5, "reset_control", self.reset_control);
  }
};

/// ACPI's fixed hardware (ACPI 6.5, 4.8): the power button and its interrupt, the sleep register through
/// which a guest powers off, the 3.579545 MHz timer, and the reset port. Attach the object itself at
/// kAcpiPmBase (kAcpiPmPortCount ports) and reset_port() at kAcpiResetPort (1 port); the addresses are in
/// vmm/base/address_map.h, where the ACPI tables find them too.
///
/// Left out, because no guest here asks for it: the timer's overflow interrupt (TMR_STS stays 0), the sleep
/// button, S1 to S4.
class AcpiPm final : public Device, public BusDevice {
 public:
  /// The callbacks run on the vCPU thread that wrote the register, and only post the event to the machine.
  AcpiPm(IrqLine& sci, const HostClock& clock, std::function<void()> on_power_off, std::function<void()> on_reset);

  void bus_read(std::uint64_t offset, std::span<std::byte> data) noexcept override;
  void bus_write(std::uint64_t offset, std::span<const std::byte> data) noexcept override;
  BusDevice& reset_port() noexcept { return reset_port_; }

  /// Any thread. False where the guest has not enabled the button: nothing will come of it. While frozen, the
  /// press is kept for thaw().
  bool press_power_button() noexcept;

  void freeze() noexcept override;
  void thaw() noexcept override;

  std::string state_name() const override { return "acpi-pm"; }
  StateRecord save_state() const override;
  void check_state(const StateRecord& record) const override;
  void restore_state(const StateRecord& record) override;

 private:
  /// The reset control register, apart from the block of the others.
  class ResetPort final : public BusDevice {
   public:
    explicit ResetPort(AcpiPm& owner) : owner_(owner) {}
    void bus_read(std::uint64_t offset, std::span<std::byte> data) noexcept override;
    void bus_write(std::uint64_t offset, std::span<const std::byte> data) noexcept override;

   private:
    AcpiPm& owner_;
  };

  std::uint32_t timer_now() const noexcept;
  void press_locked() noexcept;
  void update_sci() noexcept;
  bool write_byte(std::uint64_t offset, std::uint8_t value) noexcept;

  IrqLine& sci_;
  const HostClock& clock_;
  std::function<void()> on_power_off_;
  std::function<void()> on_reset_;
  ResetPort reset_port_{*this};

  mutable std::mutex mutex_;  ///< guards all below: vCPU threads, and whoever presses the button
  std::uint16_t status_ = 0;
  std::uint16_t enable_ = 0;
  std::uint16_t control_ = 0;
  std::uint8_t reset_control_ = 0;
  std::uint32_t timer_offset_ = 0;  ///< what the timer shows minus the host clock's ticks
  bool frozen_ = false;
  bool pressed_while_frozen_ = false;
};

}  // namespace tintype
