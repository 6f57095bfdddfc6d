// SPDX-License-Identifier: Apache-2.0
#include "devices/debug_exit.h"
#include "tests/support/state_contract.h"

namespace tintype {

TEST_CASE("debug-exit: state contract") {
  struct Fixture {
    DebugExit port{[](int) {}};
    DebugExit& thing() { return port; }
  };
  StateContract<Fixture>{}.verify();
}

}  // namespace tintype
