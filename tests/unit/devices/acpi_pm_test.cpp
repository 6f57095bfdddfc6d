// SPDX-License-Identifier: Apache-2.0
#include "devices/acpi_pm.h"

#include <doctest/doctest.h>

#include "tests/support/bus_access.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_irq_line.h"
#include "vmm/base/address_map.h"

namespace tintype {
namespace {

constexpr std::uint64_t kStatus = 0, kEnable = 2, kControl = 4, kTimer = 8;
constexpr std::uint16_t kButton = 0x0100;

struct PmFixture {
  FakeIrqLine sci;
  FakeClock clock;
  int power_offs = 0, resets = 0;
  AcpiPm pm{sci, clock, [this] { ++power_offs; }, [this] { ++resets; }};

  template <typename T>
  T in(std::uint64_t at) {
    return bus_in<T>(pm, at);
  }
  template <typename T>
  void out(std::uint64_t at, std::type_identity_t<T> value) {
    bus_out<T>(pm, at, value);
  }
};

constexpr std::uint16_t kPowerOff = kAcpiSleepTypeS5 << 10 | 1 << 13;

}  // namespace

TEST_CASE_FIXTURE(PmFixture, "acpi-pm: power-off needs both the S5 type and the enable bit, in any width") {
  out<std::uint16_t>(kControl, kAcpiSleepTypeS5 << 10);
  out<std::uint16_t>(kControl, 4 << 10 | 1 << 13);
  CHECK(power_offs == 0);
  out<std::uint16_t>(kControl, kPowerOff);
  CHECK(power_offs == 1);
  out<std::uint8_t>(kControl + 1, kPowerOff >> 8);
  CHECK(power_offs == 2);
  out<std::uint32_t>(kControl, kPowerOff);
  CHECK(power_offs == 3);
  CHECK(in<std::uint16_t>(kControl) == (kAcpiSleepTypeS5 << 10 | 1));  // the enable bit reads 0, ACPI mode is on
}

TEST_CASE_FIXTURE(PmFixture, "acpi-pm: the button raises the SCI until the guest has cleared it by writing 1") {
  out<std::uint16_t>(kEnable, kButton);
  CHECK_FALSE(sci.asserted());
  CHECK(pm.press_power_button());
  CHECK(sci.asserted());
  CHECK(in<std::uint16_t>(kStatus) == kButton);
  out<std::uint16_t>(kStatus, 0xfeff);
  CHECK(sci.asserted());
  out<std::uint16_t>(kStatus, kButton);
  CHECK_FALSE(sci.asserted());
  CHECK(in<std::uint16_t>(kStatus) == 0);
}

TEST_CASE_FIXTURE(PmFixture,
                  "acpi-pm: a button that the guest does not listen to says so, so that nobody waits for a power-off") {
  CHECK_FALSE(pm.press_power_button());
  CHECK_FALSE(sci.asserted());
  out<std::uint16_t>(kEnable, kButton);
  CHECK(sci.asserted());  // pressed before it was enabled
}

TEST_CASE_FIXTURE(PmFixture,
                  "acpi-pm: a press during a checkpoint's pause is neither lost nor seen in the saved state") {
  out<std::uint16_t>(kEnable, kButton);
  pm.freeze();
  const StateRecord before = pm.save_state();
  CHECK(pm.press_power_button());
  CHECK(pm.save_state() == before);
  CHECK_FALSE(sci.asserted());
  pm.thaw();
  CHECK(sci.asserted());
}

TEST_CASE_FIXTURE(PmFixture, "acpi-pm: the timer runs at 3.579545 MHz and wraps at 24 bits") {
  const std::uint32_t start = in<std::uint32_t>(kTimer);
  CHECK(start == 0);
  clock.advance_us(1'000'000);
  CHECK(in<std::uint32_t>(kTimer) == 3'579'545);
  clock.advance_us(4'000'000);
  CHECK(in<std::uint32_t>(kTimer) == 5 * 3'579'545 - (1 << 24));
  clock.advance_us(1'000'000'000'000);  // eleven days
  CHECK(in<std::uint32_t>(kTimer) < 1 << 24);
}

TEST_CASE_FIXTURE(PmFixture,
                  "acpi-pm: the restored timer goes on from the capture, whatever the new host's clock shows") {
  clock.advance_us(1'234'567);
  const StateRecord state = pm.save_state();
  const std::uint32_t shown = in<std::uint32_t>(kTimer);
  PmFixture other;
  other.clock.monotonic = 42;
  other.pm.restore_state(state);
  CHECK(other.in<std::uint32_t>(kTimer) == shown);
  other.clock.advance_us(1'000'000);
  CHECK(other.in<std::uint32_t>(kTimer) == shown + 3'579'545);
}

TEST_CASE_FIXTURE(PmFixture, "acpi-pm: a restored machine finds its SCI asserted as it was") {
  out<std::uint16_t>(kEnable, kButton);
  CHECK(pm.press_power_button());
  PmFixture other;
  other.pm.restore_state(pm.save_state());
  CHECK(other.sci.asserted());
}

TEST_CASE_FIXTURE(PmFixture, "acpi-pm: the reset port resets on the FADT's value, not on a probe of its neighbours") {
  BusDevice& port = pm.reset_port();
  bus_out(port, 0, 0x02);
  CHECK(resets == 0);
  CHECK(bus_in(port, 0) == 0x02);
  bus_out(port, 0, kAcpiResetValue);
  CHECK(resets == 1);
}

}  // namespace tintype
