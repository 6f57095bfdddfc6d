// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdlib>

#include "vmm/base/thread_sanitizer.h"

#if defined(__SANITIZE_ADDRESS__)
#define TINTYPE_ADDRESS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TINTYPE_ADDRESS_SANITIZER 1
#endif
#endif

namespace tintype {

/// Whether all rounds are done, so that what happens by chance can be relied upon to have happened.
#if defined(TINTYPE_THREAD_SANITIZER) || defined(TINTYPE_ADDRESS_SANITIZER)
inline constexpr bool kAllRounds = false;
#else
inline constexpr bool kAllRounds = true;
#endif

/// How often to do what is done many times: an eighth of that under a sanitizer, which is so much slower.
inline constexpr unsigned rounds(unsigned many) { return kAllRounds ? many : std::max(1U, many / 8); }

/// For what may run for hours: as often as this variable of the environment says, or rounds(usual).
inline unsigned rounds_of(const char* variable, unsigned usual) {
  const char* const wanted = std::getenv(variable);
  return wanted != nullptr ? static_cast<unsigned>(std::strtoul(wanted, nullptr, 10)) : rounds(usual);
}

}  // namespace tintype
