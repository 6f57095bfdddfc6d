// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdlib>

namespace tintype {

/// Where random runs begin. Another seed for a long run: TINTYPE_TEST_SEED=1000.
inline unsigned first_seed() {
  const char* const text = std::getenv("TINTYPE_TEST_SEED");
  return text == nullptr ? 1 : static_cast<unsigned>(std::strtoul(text, nullptr, 10));
}

}  // namespace tintype
