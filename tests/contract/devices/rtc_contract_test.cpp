// SPDX-License-Identifier: Apache-2.0
#include "devices/rtc.h"
#include "tests/support/bus_access.h"
#include "tests/support/fake_clock.h"
#include "tests/support/state_contract.h"

namespace tintype {
namespace {

StateBytes cmos_with(std::size_t index, std::uint8_t value) {
  StateBytes bytes(kCmosBytes);
  bytes[0xa] = 0x26;
  bytes[0xb] = 0x02;
  bytes[0xd] = 0x80;
  bytes[index] = value;
  return bytes;
}

}  // namespace

TEST_CASE("rtc: state contract") {
  struct Fixture {
    FakeClock clock;
    Rtc rtc{clock};
    Rtc& thing() { return rtc; }
    void set(std::uint8_t index, std::uint8_t value) { bus_out(rtc, 0, index), bus_out(rtc, 1, value); }
  };
  StateContract<Fixture> contract;
  contract.changes = {
      {"a register is selected", [](Fixture& f) { bus_out(f.rtc, 0, 0x20); }},
      {"a byte of memory", [](Fixture& f) { f.set(0x20, 0x77); }},
      {"the guest sets the clock", [](Fixture& f) { f.set(0x9, 0x30); }},
      {"time passes, and the flags are read",
       [](Fixture& f) { f.clock.advance_us(1'500'000), bus_out(f.rtc, 0, 0xc), bus_in(f.rtc, 1); }},
      {"half set", [](Fixture& f) { f.set(0xb, 0x82), f.set(0x0, 0x59); }},
  };
  contract.refused = {{"index", std::uint64_t{kCmosBytes}},
                      {"ahead_seconds", std::uint64_t{1} << 62},
                      {"ahead_seconds", ~(std::uint64_t{1} << 62)},
                      {"flags_read_us", std::uint64_t{1} << 63},
                      {"cmos", StateBytes(kCmosBytes - 1)},
                      {"cmos", cmos_with(0xa, 0xa6)},
                      {"cmos", cmos_with(0xc, 0x10)},
                      {"cmos", cmos_with(0xd, 0x00)}};
  contract.verify();
}

}  // namespace tintype
