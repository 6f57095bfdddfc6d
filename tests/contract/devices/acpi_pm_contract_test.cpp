// SPDX-License-Identifier: Apache-2.0
#include "devices/acpi_pm.h"
#include "tests/support/bus_access.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_irq_line.h"
#include "tests/support/state_contract.h"

namespace tintype {

TEST_CASE("acpi-pm: state contract") {
  struct Fixture {
    FakeIrqLine sci;
    FakeClock clock;
    AcpiPm pm{sci, clock, [] {}, [] {}};
    AcpiPm& thing() { return pm; }
  };
  StateContract<Fixture> contract;
  contract.changes = {
      {"time passes", [](Fixture& f) { f.clock.advance_us(1000); }},
      {"the button is enabled", [](Fixture& f) { bus_out<std::uint16_t>(f.pm, 2, 0x0100); }},
      {"the button is pressed", [](Fixture& f) { CHECK(f.pm.press_power_button()); }},
      {"a sleep type is chosen", [](Fixture& f) { bus_out<std::uint16_t>(f.pm, 4, 3 << 10); }},
      {"a reset is prepared", [](Fixture& f) { bus_out(f.pm.reset_port(), 0, 0x02); }},
  };
  contract.refused = {{"status", std::uint64_t{2}},        {"enable", std::uint64_t{0x8000}},
                      {"enable", std::uint64_t{0x10100}},  {"control", std::uint64_t{0x2000}},
                      {"timer", std::uint64_t{0x1000000}}, {"reset_control", std::uint64_t{1}}};
  contract.verify();
}

}  // namespace tintype
