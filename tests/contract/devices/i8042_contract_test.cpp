// SPDX-License-Identifier: Apache-2.0
#include "devices/i8042.h"
#include "tests/support/bus_access.h"
#include "tests/support/fake_irq_line.h"
#include "tests/support/state_contract.h"

namespace tintype {

TEST_CASE("i8042: state contract") {
  struct Fixture {
    FakeIrqLine irq;
    I8042 chip{irq, [] {}};
    I8042& thing() { return chip; }
    void command(std::uint8_t value) { bus_out(chip.command_port(), 0, value); }
    void data(std::uint8_t value) { bus_out(chip.data_port(), 0, value); }
  };
  StateContract<Fixture> contract;
  contract.changes = {
      {"self test", [](Fixture& f) { f.command(0xaa); }},
      {"the answer is read", [](Fixture& f) { CHECK(bus_in(f.chip.data_port(), 0) == 0x55); }},
      {"command byte", [](Fixture& f) { f.command(0x60), f.data(0x30); }},
      {"output port", [](Fixture& f) { f.command(0xd1), f.data(0x01); }},
      {"half a command", [](Fixture& f) { f.command(0x60); }},
  };
  contract.refused = {{"status", std::uint64_t{0x80}},
                      {"command_byte", std::uint64_t{0x100}},
                      {"pending_command", std::uint64_t{0xaa}}};
  contract.verify();
}

}  // namespace tintype
