// SPDX-License-Identifier: Apache-2.0
#include "devices/i8042.h"

#include <doctest/doctest.h>

#include "tests/support/bus_access.h"
#include "tests/support/fake_irq_line.h"

namespace tintype {
namespace {

struct KeyboardFixture {
  FakeIrqLine irq;
  int resets = 0;
  I8042 chip{irq, [this] { ++resets; }};

  void command(std::uint8_t value) { bus_out(chip.command_port(), 0, value); }
  void data(std::uint8_t value) { bus_out(chip.data_port(), 0, value); }
  std::uint8_t status() { return bus_in(chip.command_port(), 0); }
  std::uint8_t answer() { return bus_in(chip.data_port(), 0); }
};

}  // namespace

TEST_CASE_FIXTURE(KeyboardFixture, "i8042: reboot=k waits for an empty input buffer and then resets with 0xfe") {
  CHECK((status() & 0x02) == 0);
  command(0xfe);
  CHECK(resets == 1);
}

TEST_CASE_FIXTURE(KeyboardFixture, "i8042: only commands that pull the reset line reset") {
  for (unsigned value = 0; value < 0xf0; ++value) command(static_cast<std::uint8_t>(value));
  command(0xff);
  command(0xf1);
  CHECK(resets == 0);
  command(0xd1);
  data(0x03);
  CHECK(resets == 0);
  command(0xd1);
  data(0x02);
  CHECK(resets == 1);
}

TEST_CASE_FIXTURE(KeyboardFixture,
                  "i8042: a probe finds the controller, no mouse and no keyboard, without waiting for anything") {
  CHECK((status() & 0x01) == 0);
  command(0xaa);
  CHECK((status() & 0x01) == 1);
  CHECK(answer() == 0x55);
  command(0xab);
  CHECK(answer() == 0x00);
  command(0x20);
  const std::uint8_t configuration = answer();
  command(0x60);
  data(configuration | 0x30);
  command(0x20);
  CHECK(answer() == (configuration | 0x30));
  command(0xd3);
  data(0x5a);
  CHECK((status() & 0x21) == 0x01);  // not marked as from a mouse
  answer();
  command(0xa9);
  CHECK(answer() == 0x01);
  data(0xf2);  // "who are you" to the keyboard
  CHECK((status() & 0x41) == 0x41);
  CHECK(answer() == 0xfe);
  CHECK((status() & 0x41) == 0);
}

TEST_CASE_FIXTURE(KeyboardFixture, "i8042: the interrupt follows the output buffer, where the guest wants it") {
  command(0xaa);
  CHECK(irq.asserted());
  answer();
  CHECK_FALSE(irq.asserted());
  command(0x60);
  data(0x00);
  command(0xaa);
  CHECK_FALSE(irq.asserted());
}

}  // namespace tintype
