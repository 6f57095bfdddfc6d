// SPDX-License-Identifier: Apache-2.0
#include "devices/rtc.h"

#include <algorithm>
#include <chrono>

#include "vmm/base/address_map.h"

namespace tintype {
namespace {

enum Register : std::uint8_t {
  kSeconds = 0x0,
  kSecondsAlarm = 0x1,
  kMinutes = 0x2,
  kMinutesAlarm = 0x3,
  kHours = 0x4,
  kHoursAlarm = 0x5,
  kWeekday = 0x6,
  kDay = 0x7,
  kMonth = 0x8,
  kYear = 0x9,
  kA = 0xa,
  kB = 0xb,
  kC = 0xc,
  kD = 0xd,
  kCentury = kRtcCenturyRegister,
};

// Register A.
constexpr std::uint8_t kUpdateInProgress = 1 << 7;
constexpr std::uint8_t kDividerStopped = 0x60;  ///< both bits: the guest holds the clock to set it
constexpr std::uint8_t kRateMask = 0x0f;
constexpr std::uint8_t kUsualA = 0x26;  ///< 32.768 kHz crystal, 1024 Hz periodic rate

// Register B.
constexpr std::uint8_t kSetMode = 1 << 7;
constexpr std::uint8_t kBinary = 1 << 2;
constexpr std::uint8_t k24Hours = 1 << 1;

// Register C; the enable bits in B have the same places.
constexpr std::uint8_t kInterruptFlag = 1 << 7;
constexpr std::uint8_t kPeriodicFlag = 1 << 6;
constexpr std::uint8_t kAlarmFlag = 1 << 5;
constexpr std::uint8_t kUpdateFlag = 1 << 4;

constexpr std::uint8_t kBatteryGood = 1 << 7;  ///< register D
constexpr std::uint8_t kAfternoon = 1 << 7;    ///< in an hour of the 12-hour form
constexpr std::uint8_t kAnyTime = 0xc0;        ///< both top bits of an alarm register: matches everything

constexpr std::int64_t kMicroseconds = 1'000'000;
constexpr std::int64_t kSecondsPerDay = 86'400;
constexpr std::int64_t kUpdateWarningUs = 244;  ///< the bit goes up so long before the time changes
constexpr std::int64_t kFarthestSeconds =
    400'000'000'000;  ///< more than ten thousand years: what four digits of a year can ask for

bool is_time_register(std::uint8_t index) noexcept {
  return index == kCentury ||
         (index <= kYear && index != kSecondsAlarm && index != kMinutesAlarm && index != kHoursAlarm);
}

std::int64_t floor_divide(std::int64_t a, std::int64_t b) noexcept { return a / b - (a % b < 0 ? 1 : 0); }

/// Of the periodic flag; 0: off. Rates 1 and 2 mean the same as 8 and 9.
std::int64_t period_us(std::uint8_t a) noexcept {
  const unsigned rate = a & kRateMask;
  if (rate == 0) return 0;
  return (kMicroseconds << ((rate < 3 ? rate + 7 : rate) - 1)) / 32'768;
}

}  // namespace

Rtc::Rtc(const HostClock& clock) : clock_(clock), flags_read_us_(clock.utc_us()) {
  cmos_[kA] = kUsualA;
  cmos_[kB] = k24Hours;
  cmos_[kD] = kBatteryGood;
}

bool Rtc::is_set_mode() const noexcept { return (cmos_[kB] & kSetMode) != 0; }
bool Rtc::is_divider_stopped() const noexcept { return (cmos_[kA] & kDividerStopped) == kDividerStopped; }
std::int64_t Rtc::guest_us() const noexcept { return clock_.utc_us() + ahead_seconds_ * kMicroseconds; }

void Rtc::bus_read(std::uint64_t offset, std::span<std::byte> data) noexcept {
  const std::lock_guard lock(mutex_);
  for (std::size_t i = 0; i < data.size(); ++i) {
    data[i] = offset + i == 1 ? std::byte{read_register()} : std::byte{0xff};
  }
}

void Rtc::bus_write(std::uint64_t offset, std::span<const std::byte> data) noexcept {
  const std::lock_guard lock(mutex_);
  for (std::size_t i = 0; i < data.size(); ++i) {
    const auto value = std::to_integer<std::uint8_t>(data[i]);
    if (offset + i == 0) index_ = value & (kCmosBytes - 1);  // the top bit masks the NMI, of which there is none
    if (offset + i == 1) write_register(value);
  }
}

std::uint8_t Rtc::read_register() noexcept {
  if (is_time_register(index_) && !is_set_mode()) show_time();
  if (index_ == kC) return take_flags();
  if (index_ != kA || is_set_mode() || is_divider_stopped()) return cmos_[index_];
  const std::int64_t now = guest_us();
  const std::int64_t into_second = now - floor_divide(now, kMicroseconds) * kMicroseconds;
  return into_second >= kMicroseconds - kUpdateWarningUs ? cmos_[kA] | kUpdateInProgress : cmos_[kA];
}

void Rtc::write_register(std::uint8_t value) noexcept {
  if (is_time_register(index_)) return write_time_register(value);
  switch (index_) {
    case kA:
      cmos_[kA] = value & static_cast<std::uint8_t>(~kUpdateInProgress);
      break;
    case kB:
      write_register_b(value);
      break;
    case kC:
    case kD:
      break;  // read-only
    default:
      cmos_[index_] = value;
  }
}

// Outside SET mode, a time register that is written changes the running time at once.
void Rtc::write_time_register(std::uint8_t value) noexcept {
  if (!is_set_mode()) show_time();
  cmos_[index_] = value;
  if (!is_set_mode()) adopt_time();
}

void Rtc::write_register_b(std::uint8_t value) noexcept {
  const bool was_set_mode = is_set_mode();
  const bool becomes_set_mode = (value & kSetMode) != 0;
  if (!was_set_mode && becomes_set_mode) show_time();
  cmos_[kB] = value;
  if (was_set_mode && !becomes_set_mode) adopt_time();
}

std::uint8_t Rtc::take_flags() noexcept {
  const std::int64_t now = clock_.utc_us();
  const std::int64_t since =
      std::min(std::exchange(flags_read_us_, now), now);  // the host's clock may have been set back
  std::uint8_t flags = 0;
  const std::int64_t period = period_us(cmos_[kA]);
  if (period != 0 && now - since >= period) flags |= kPeriodicFlag;
  if (!is_set_mode()) {
    if (floor_divide(now, kMicroseconds) != floor_divide(since, kMicroseconds)) flags |= kUpdateFlag;
    if (alarm_between(since, now)) flags |= kAlarmFlag;
  }
  if ((flags & cmos_[kB]) != 0) flags |= kInterruptFlag;
  return flags;
}

/// True where the alarm's time of day came up after `from_us` and until `to_us`, in the host's UTC.
bool Rtc::alarm_between(std::int64_t from_us, std::int64_t to_us) const noexcept {
  const std::int64_t last = floor_divide(to_us, kMicroseconds) + ahead_seconds_;
  const std::int64_t first = std::max(floor_divide(from_us, kMicroseconds) + ahead_seconds_, last - kSecondsPerDay) + 1;
  const auto matches = [](std::uint8_t alarm, int decoded, std::int64_t now) {
    return (alarm & kAnyTime) == kAnyTime || decoded == now;
  };
  for (std::int64_t second = first; second <= last; ++second) {
    const std::int64_t of_day = second - floor_divide(second, kSecondsPerDay) * kSecondsPerDay;
    if (matches(cmos_[kSecondsAlarm], decode(cmos_[kSecondsAlarm]), of_day % 60) &&
        matches(cmos_[kMinutesAlarm], decode(cmos_[kMinutesAlarm]), of_day / 60 % 60) &&
        matches(cmos_[kHoursAlarm], decode_hour(cmos_[kHoursAlarm]), of_day / 3600)) {
      return true;
    }
  }
  return false;
}

std::uint8_t Rtc::encode(unsigned number) const noexcept {
  const bool binary = (cmos_[kB] & kBinary) != 0;
  return static_cast<std::uint8_t>(binary ? number : number / 10 << 4 | number % 10);
}

std::uint8_t Rtc::encode_hour(unsigned hour) const noexcept {
  if ((cmos_[kB] & k24Hours) != 0) return encode(hour);
  const std::uint8_t half_day = hour >= 12 ? kAfternoon : 0;
  return encode(hour % 12 == 0 ? 12 : hour % 12) | half_day;
}

/// -1 where the value is no number in the form that register B asks for.
int Rtc::decode(std::uint8_t value) const noexcept {
  if ((cmos_[kB] & kBinary) != 0) return value;
  if (value >> 4 > 9 || (value & 0xf) > 9) return -1;
  return (value >> 4) * 10 + (value & 0xf);
}

int Rtc::decode_hour(std::uint8_t value) const noexcept {
  if ((cmos_[kB] & k24Hours) != 0) return decode(value);
  const int hour = decode(value & static_cast<std::uint8_t>(~kAfternoon));
  if (hour < 1 || hour > 12) return -1;
  return hour % 12 + ((value & kAfternoon) != 0 ? 12 : 0);
}

/// Puts the guest's present time into the time registers.
void Rtc::show_time() noexcept {
  using namespace std::chrono;
  const std::int64_t second = floor_divide(guest_us(), kMicroseconds);
  const std::int64_t day_number = floor_divide(second, kSecondsPerDay);
  const std::int64_t of_day = second - day_number * kSecondsPerDay;
  const sys_days date_days{days(day_number)};
  const year_month_day date{date_days};
  const auto year = static_cast<unsigned>(std::clamp(static_cast<int>(date.year()), 0, 9999));
  cmos_[kSeconds] = encode(static_cast<unsigned>(of_day % 60));
  cmos_[kMinutes] = encode(static_cast<unsigned>(of_day / 60 % 60));
  cmos_[kHours] = encode_hour(static_cast<unsigned>(of_day / 3600));
  cmos_[kWeekday] = encode(weekday{date_days}.c_encoding() + 1);
  cmos_[kDay] = encode(static_cast<unsigned>(date.day()));
  cmos_[kMonth] = encode(static_cast<unsigned>(date.month()));
  cmos_[kYear] = encode(year % 100);
  cmos_[kCentury] = encode(year / 100);
}

/// Takes the time registers as the guest's present time; leaves the clock alone where they show no possible
/// time.
void Rtc::adopt_time() noexcept {
  using namespace std::chrono;
  const int second = decode(cmos_[kSeconds]), minute = decode(cmos_[kMinutes]), hour = decode_hour(cmos_[kHours]);
  const int in_century = decode(cmos_[kYear]), century = decode(cmos_[kCentury]);
  const int month_number = decode(cmos_[kMonth]), day_number = decode(cmos_[kDay]);
  const auto within = [](int value, int last) { return value >= 0 && value <= last; };
  if (!within(second, 59) || !within(minute, 59) || !within(hour, 23) || !within(in_century, 99) ||
      !within(century, 99) || !within(month_number, 12) || !within(day_number, 31)) {
    return;
  }
  const year_month_day date{year{century * 100 + in_century}, month{static_cast<unsigned>(month_number)},
                            day{static_cast<unsigned>(day_number)}};
  if (!date.ok()) return;
  const std::int64_t set =
      sys_days{date}.time_since_epoch().count() * kSecondsPerDay + hour * 3600 + minute * 60 + second;
  ahead_seconds_ = set - floor_divide(clock_.utc_us(), kMicroseconds);
}

StateRecord Rtc::save_state() const {
  const std::lock_guard lock(mutex_);
  return to_record(
      RtcStateV1{.index = index_, .cmos = cmos_, .ahead_seconds = ahead_seconds_, .flags_read_us = flags_read_us_});
}

void Rtc::check_state(const StateRecord& record) const {
  const auto state = from_record<RtcStateV1>(record);
  const auto expect = [](bool holds, std::string_view what) {
    if (!holds) throw StateError("the saved state rtc-cmos version 1 is damaged: {}", what);
  };
  const auto near = [](std::int64_t seconds) { return seconds >= -kFarthestSeconds && seconds <= kFarthestSeconds; };
  expect(state.index < kCmosBytes, "index selects a register that does not exist");
  expect(near(state.ahead_seconds), "ahead_seconds is more than ten thousand years");
  expect(near(state.flags_read_us / kMicroseconds), "flags_read_us is more than ten thousand years away");
  expect((state.cmos[kA] & kUpdateInProgress) == 0, "register A has its read-only bit");
  expect(state.cmos[kC] == 0 && state.cmos[kD] == kBatteryGood, "read-only registers have been changed");
}

void Rtc::restore_state(const StateRecord& record) {
  const auto state = from_record<RtcStateV1>(record);
  const std::lock_guard lock(mutex_);
  index_ = state.index;
  cmos_ = state.cmos;
  ahead_seconds_ = state.ahead_seconds;
  flags_read_us_ = state.flags_read_us;
}

}  // namespace tintype
