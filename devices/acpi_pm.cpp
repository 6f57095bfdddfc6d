// SPDX-License-Identifier: Apache-2.0
#include "devices/acpi_pm.h"

#include <algorithm>

#include "vmm/base/address_map.h"

namespace tintype {
namespace {

// Offsets in the block of ports.
constexpr std::size_t kStatus = kAcpiPm1aEventPort - kAcpiPmBase;
constexpr std::size_t kEnable = kStatus + kAcpiPm1aEventLength / 2;
constexpr std::size_t kControl = kAcpiPm1aControlPort - kAcpiPmBase;
constexpr std::size_t kTimer = kAcpiPmTimerPort - kAcpiPmBase;

// PM1 status and enable share their bits' places (ACPI 6.5, tables 4.13 and 4.14).
constexpr std::uint16_t kTimerBit = 1 << 0;
constexpr std::uint16_t kGlobalLockBit = 1 << 5;
constexpr std::uint16_t kPowerButtonBit = 1 << 8;
constexpr std::uint16_t kSleepButtonBit = 1 << 9;
constexpr std::uint16_t kRtcBit = 1 << 10;
constexpr std::uint16_t kEventBits = kTimerBit | kGlobalLockBit | kPowerButtonBit | kSleepButtonBit | kRtcBit;

// PM1 control (table 4.15).
constexpr std::uint16_t kSciEnabled = 1 << 0;
constexpr std::uint16_t kBusMasterReload = 1 << 1;
constexpr unsigned kSleepTypeShift = 10;
constexpr std::uint16_t kSleepTypeMask = 7 << kSleepTypeShift;
constexpr std::uint16_t kSleepEnable = 1 << 13;
constexpr std::uint16_t kControlBits = kBusMasterReload | kSleepTypeMask;

constexpr std::uint8_t kResetCpu = 1 << 2;
constexpr std::uint8_t kResetBits = 0x0e;

constexpr std::uint64_t kTimerHz = 3'579'545;
constexpr std::uint32_t kTimerMask = 0xff'ffff;

constexpr std::uint64_t ticks(std::uint64_t nanoseconds) noexcept {
  constexpr std::uint64_t kSecond = 1'000'000'000;
  return nanoseconds / kSecond * kTimerHz + nanoseconds % kSecond * kTimerHz / kSecond;
}

/// `old` with its low or high byte, as `offset` is even or odd, replaced.
constexpr std::uint16_t with_byte(std::uint16_t old, std::uint64_t offset, std::uint8_t value) noexcept {
  return static_cast<std::uint16_t>(offset % 2 == 0 ? (old & 0xff00) | value : (old & 0x00ff) | value << 8);
}

void put16(std::array<std::byte, kAcpiPmPortCount>& image, std::size_t at, std::uint16_t value) noexcept {
  image[at] = std::byte(value & 0xff);
  image[at + 1] = std::byte(value >> 8);
}

}  // namespace

AcpiPm::AcpiPm(IrqLine& sci, const HostClock& clock, std::function<void()> on_power_off, std::function<void()> on_reset)
    : sci_(sci),
      clock_(clock),
      on_power_off_(std::move(on_power_off)),
      on_reset_(std::move(on_reset)),
      timer_offset_(static_cast<std::uint32_t>(0 - ticks(clock.monotonic_ns()))) {}

std::uint32_t AcpiPm::timer_now() const noexcept {
  return (static_cast<std::uint32_t>(ticks(clock_.monotonic_ns())) + timer_offset_) & kTimerMask;
}

void AcpiPm::update_sci() noexcept { sci_.set((status_ & enable_ & kEventBits) != 0); }

// The whole block is laid out once, so that an access of any width sees one sample of the timer.
void AcpiPm::bus_read(std::uint64_t offset, std::span<std::byte> data) noexcept {
  std::array<std::byte, kAcpiPmPortCount> image{};
  const std::lock_guard lock(mutex_);
  put16(image, kStatus, status_);
  put16(image, kEnable, enable_);
  put16(image, kControl, control_ | kSciEnabled);
  const std::uint32_t timer = timer_now();
  put16(image, kTimer, static_cast<std::uint16_t>(timer));
  put16(image, kTimer + 2, static_cast<std::uint16_t>(timer >> 16));
  for (std::size_t i = 0; i < data.size(); ++i) {
    data[i] = offset + i < image.size() ? image[offset + i] : std::byte{0xff};
  }
}

void AcpiPm::bus_write(std::uint64_t offset, std::span<const std::byte> data) noexcept {
  bool power_off = false;
  {
    const std::lock_guard lock(mutex_);
    for (std::size_t i = 0; i < data.size(); ++i) {
      power_off |= write_byte(offset + i, std::to_integer<std::uint8_t>(data[i]));
    }
    update_sci();
  }
  if (power_off) on_power_off_();
}

/// True where the byte is the guest's wish to power off.
bool AcpiPm::write_byte(std::uint64_t offset, std::uint8_t value) noexcept {
  if (offset < kEnable) {
    status_ &= static_cast<std::uint16_t>(~with_byte(0, offset, value));  // writing 1 clears
  } else if (offset < kControl) {
    enable_ = with_byte(enable_, offset, value) & kEventBits;
  } else if (offset < kControl + kAcpiPm1aControlLength) {
    const std::uint16_t written = with_byte(control_, offset, value);
    control_ = written & kControlBits;
    return (written & kSleepEnable) != 0 && (written & kSleepTypeMask) == kAcpiSleepTypeS5 << kSleepTypeShift;
  }
  return false;
}

bool AcpiPm::press_power_button() noexcept {
  const std::lock_guard lock(mutex_);
  if (frozen_) {
    pressed_while_frozen_ = true;
  } else {
    press_locked();
  }
  return (enable_ & kPowerButtonBit) != 0;
}

void AcpiPm::press_locked() noexcept {
  status_ |= kPowerButtonBit;
  update_sci();
}

void AcpiPm::freeze() noexcept {
  const std::lock_guard lock(mutex_);
  frozen_ = true;
}

void AcpiPm::thaw() noexcept {
  const std::lock_guard lock(mutex_);
  frozen_ = false;
  if (std::exchange(pressed_while_frozen_, false)) press_locked();
}

StateRecord AcpiPm::save_state() const {
  const std::lock_guard lock(mutex_);
  return to_record(AcpiPmStateV1{.status = status_,
                                 .enable = enable_,
                                 .control = control_,
                                 .timer = timer_now(),
                                 .reset_control = reset_control_});
}

void AcpiPm::check_state(const StateRecord& record) const {
  const auto state = from_record<AcpiPmStateV1>(record);
  const auto expect = [](bool holds, std::string_view field) {
    if (!holds) throw StateError("the saved state acpi-pm version 1 is damaged: {} has bits that do not exist", field);
  };
  expect((state.status & ~kEventBits) == 0, "status");
  expect((state.enable & ~kEventBits) == 0, "enable");
  expect((state.control & ~kControlBits) == 0, "control");
  expect((state.timer & ~kTimerMask) == 0, "timer");
  expect((state.reset_control & ~kResetBits) == 0, "reset_control");
}

void AcpiPm::restore_state(const StateRecord& record) {
  const auto state = from_record<AcpiPmStateV1>(record);
  const std::lock_guard lock(mutex_);
  status_ = state.status;
  enable_ = state.enable;
  control_ = state.control;
  reset_control_ = state.reset_control;
  timer_offset_ = state.timer - static_cast<std::uint32_t>(ticks(clock_.monotonic_ns()));
  update_sci();
}

void AcpiPm::ResetPort::bus_read(std::uint64_t, std::span<std::byte> data) noexcept {
  const std::lock_guard lock(owner_.mutex_);
  std::ranges::fill(data, std::byte{0xff});
  if (!data.empty()) data.front() = std::byte{owner_.reset_control_};
}

void AcpiPm::ResetPort::bus_write(std::uint64_t, std::span<const std::byte> data) noexcept {
  if (data.empty()) return;
  const auto value = std::to_integer<std::uint8_t>(data.front());
  {
    const std::lock_guard lock(owner_.mutex_);
    owner_.reset_control_ = value & kResetBits;
  }
  if ((value & kResetCpu) != 0) owner_.on_reset_();
}

}  // namespace tintype
