// SPDX-License-Identifier: Apache-2.0
#include "devices/debug_exit.h"

#include <doctest/doctest.h>

#include "tests/support/bus_access.h"

namespace tintype {

TEST_CASE(
    "debug-exit: the status is value << 1 | 1 at every width, so that success of a test kernel is 1 and "
    "never 0") {
  int code = -1;
  DebugExit port([&](int exit_code) { code = exit_code; });
  bus_out<std::uint8_t>(port, 0, 0);
  CHECK(code == 1);
  bus_out<std::uint8_t>(port, 3, 0x10);
  CHECK(code == 33);
  bus_out<std::uint16_t>(port, 0, 0x0101);
  CHECK(code == 3);
  bus_out<std::uint32_t>(port, 0, 0xffffffff);
  CHECK(code == 0xff);
}

TEST_CASE("debug-exit: reading the port ends nothing") {
  bool ended = false;
  DebugExit port([&](int) { ended = true; });
  CHECK(bus_in<std::uint32_t>(port, 0) == 0);
  CHECK_FALSE(ended);
}

}  // namespace tintype
