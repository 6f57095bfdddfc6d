// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>

/// Leaves the test case, which cannot run on this machine; `why` says what is missing. It is counted as skipped, once,
/// however often its subcases come here, and never as passed; if a check of it failed before, it has failed.
/// For the body of a test case only: what it does is return.
#define SKIP_TEST(why)             \
  do {                             \
    ::tintype::test::skipped(why); \
    return;                        \
  } while (false)

namespace tintype::test {

/// Notes why the running test case is skipped. Use SKIP_TEST, which also leaves it.
void skipped(std::string why);

}  // namespace tintype::test
