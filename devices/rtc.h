// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <mutex>

#include "devices/device.h"
#include "devices/host_clock.h"

namespace tintype {

inline constexpr std::size_t kCmosBytes = 128;

/// What the guest can see of the clock, except the time itself: that is always the host's, plus what the
/// guest has set it ahead.
struct RtcStateV1 {
  static constexpr std::string_view kType = "rtc-cmos";
  static constexpr std::uint32_t kVersion = 1;
  std::uint8_t index = 0;  ///< register selected at port 0x70
  std::array<std::uint8_t, kCmosBytes>
      cmos{};                      ///< registers as last written; time registers count only while SET is on
  std::int64_t ahead_seconds = 0;  ///< guest's clock minus the host's
  std::int64_t flags_read_us = 0;  ///< host's UTC when the guest last read register C
  bool operator==(const RtcStateV1&) const = default;
  static void fields(auto& self, auto&& field) {
    field(1, "index", self.index);
    field(2, "cmos", self.cmos);
    field(3, "ahead_seconds", self.ahead_seconds);
    field(4, "flags_read_us", self.flags_read_us);
  }
};

/// The PC's battery clock and its memory (MC146818), at two ports from kRtcPort on. It shows UTC; a restored
/// guest sees in it the time that has really passed. Setting it works and moves only the guest's view.
///
/// It needs no thread: the update-in-progress bit, the time and the flags of register C are worked out when
/// they are read. So it has flags for alarm, periodic and update, but raises no interrupt for them.
class Rtc final : public PassiveDevice, public BusDevice {
 public:
  explicit Rtc(const HostClock& clock);

  void bus_read(std::uint64_t offset, std::span<std::byte> data) noexcept override;
  void bus_write(std::uint64_t offset, std::span<const std::byte> data) noexcept override;

  std::string state_name() const override { return "rtc"; }
  StateRecord save_state() const override;
  void check_state(const StateRecord& record) const override;
  void restore_state(const StateRecord& record) override;

 private:
  std::uint8_t read_register() noexcept;
  void write_register(std::uint8_t value) noexcept;
  void write_time_register(std::uint8_t value) noexcept;
  void write_register_b(std::uint8_t value) noexcept;
  std::uint8_t take_flags() noexcept;
  bool alarm_between(std::int64_t from_us, std::int64_t to_us) const noexcept;

  bool is_set_mode() const noexcept;
  bool is_divider_stopped() const noexcept;
  std::int64_t guest_us() const noexcept;
  std::uint8_t encode(unsigned number) const noexcept;
  std::uint8_t encode_hour(unsigned hour) const noexcept;
  int decode(std::uint8_t value) const noexcept;
  int decode_hour(std::uint8_t value) const noexcept;
  void show_time() noexcept;
  void adopt_time() noexcept;

  const HostClock& clock_;

  mutable std::mutex mutex_;  ///< guards all below: vCPU threads
  std::uint8_t index_ = 0;
  std::array<std::uint8_t, kCmosBytes> cmos_{};
  std::int64_t ahead_seconds_ = 0;
  std::int64_t flags_read_us_;
};

}  // namespace tintype
