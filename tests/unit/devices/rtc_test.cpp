// SPDX-License-Identifier: Apache-2.0
#include "devices/rtc.h"

#include <string>

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "tests/support/bus_access.h"
#include "tests/support/fake_clock.h"

namespace tintype {
namespace {

struct RtcFixture {
  FakeClock clock;
  Rtc rtc{clock};

  std::uint8_t get(std::uint8_t index) {
    bus_out(rtc, 0, index);
    return bus_in(rtc, 1);
  }
  void set(std::uint8_t index, std::uint8_t value) {
    bus_out(rtc, 0, index);
    bus_out(rtc, 1, value);
  }
  /// Century to second as they stand in the registers, in hexadecimal, so that BCD reads as it is.
  std::string shown() {
    return fmt::format("{:02x}{:02x}-{:02x}-{:02x} {:02x}:{:02x}:{:02x}", get(0x32), get(9), get(8), get(7), get(4),
                       get(2), get(0));
  }
};

}  // namespace

TEST_CASE_FIXTURE(RtcFixture, "rtc: shows the host's UTC in each form that register B can ask for") {
  CHECK(shown() == "2023-11-14 22:13:20");
  CHECK(get(6) == 3);  // Tuesday; Sunday is 1
  set(0xb, 0x06);
  CHECK(shown() == "1417-0b-0e 16:0d:14");
  set(0xb, 0x00);
  CHECK(get(4) == (0x80 | 0x10));  // ten in the evening
  clock.advance_us(2 * 3600 * std::int64_t{1'000'000});
  CHECK(get(4) == 0x12);  // midnight is twelve in the morning
  CHECK(get(7) == 0x15);
}

TEST_CASE_FIXTURE(RtcFixture,
                  "rtc: update-in-progress rises before each second and falls with it, so that no driver hangs on it") {
  CHECK((get(0xa) & 0x80) == 0);
  clock.advance_us(1'000'000 - 100);
  CHECK((get(0xa) & 0x80) != 0);
  clock.advance_us(100);
  CHECK((get(0xa) & 0x80) == 0);
  set(0xb, 0x82);
  clock.advance_us(1'000'000 - 100);
  CHECK((get(0xa) & 0x80) == 0);  // held by the guest
}

TEST_CASE_FIXTURE(RtcFixture, "rtc: the guest sets the clock in SET mode, and it runs on from there") {
  set(0xb, 0x82);
  set(0x32, 0x20), set(9, 0x38), set(8, 0x01), set(7, 0x19), set(4, 0x03), set(2, 0x14), set(0, 0x07);
  clock.advance_us(5'000'000);
  CHECK(shown() == "2038-01-19 03:14:07");  // stands still
  set(0xb, 0x02);
  clock.advance_us(2'000'000);
  CHECK(shown() == "2038-01-19 03:14:09");
}

TEST_CASE_FIXTURE(RtcFixture, "rtc: a time that does not exist leaves the clock alone") {
  set(0xb, 0x82);
  set(8, 0x02), set(7, 0x30);
  set(0xb, 0x02);
  CHECK(shown() == "2023-11-14 22:13:20");
  set(8, 0x13);
  set(8, 0x0f);
  set(0, 0xff);
  CHECK(shown() == "2023-11-14 22:13:20");
}

TEST_CASE_FIXTURE(RtcFixture, "rtc: reading register C takes the flags of what came since") {
  get(0xc);
  set(1, 0x22), set(3, 0x13), set(5, 0xff);  // alarm at 13:22 of any hour
  CHECK(get(0xc) == 0);
  clock.advance_us(1'000'000);
  CHECK(get(0xc) == 0x50);  // update and periodic
  set(0xb, 0x22);
  clock.advance_us(1'000'000);
  CHECK(get(0xc) == 0xf0);  // the alarm too, and it is enabled
  CHECK(get(0xc) == 0);
  clock.utc -= 100'000'000;  // somebody sets the host's clock back
  CHECK(get(0xc) == 0);
}

TEST_CASE_FIXTURE(RtcFixture, "rtc: the alarm is found however long nobody looked, and in no more than a day's steps") {
  get(0xc);
  set(1, 0x00), set(3, 0x00), set(5, 0x12);
  clock.advance_us(11 * 3600 * std::int64_t{1'000'000});  // 09:13:20
  CHECK((get(0xc) & 0x20) == 0);
  clock.advance_us(1000 * 86'400 * std::int64_t{1'000'000});
  CHECK((get(0xc) & 0x20) != 0);
}

TEST_CASE_FIXTURE(RtcFixture, "rtc: memory bytes keep, status registers do not take rubbish") {
  for (unsigned i = 0x0e; i < 0x80; ++i) {
    if (i != 0x32) set(static_cast<std::uint8_t>(i), static_cast<std::uint8_t>(i ^ 0x5a));
  }
  for (unsigned i = 0x0e; i < 0x80; ++i) {
    if (i != 0x32) CHECK(get(static_cast<std::uint8_t>(i)) == (i ^ 0x5a));
  }
  set(0xd, 0x00);
  CHECK(get(0xd) == 0x80);
  CHECK(bus_in(rtc, 0) == 0xff);
  bus_out(rtc, 0, 0x80 | 0x20);  // with the NMI masked
  CHECK(bus_in(rtc, 1) == (0x20 ^ 0x5a));
}

TEST_CASE_FIXTURE(RtcFixture, "rtc: a restored guest sees the time that really passed, plus what it had set") {
  set(0xb, 0x82);
  set(4, 0x23);
  set(0xb, 0x02);
  RtcFixture other;
  other.clock.advance_us(60'000'000);
  other.rtc.restore_state(rtc.save_state());
  CHECK(other.shown() == "2023-11-14 23:14:20");
}

}  // namespace tintype
