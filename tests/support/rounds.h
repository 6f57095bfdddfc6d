// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>

#include "vmm/base/thread_sanitizer.h"

namespace tintype {

/// How often to do what is done many times: an eighth of that under ThreadSanitizer, which is so much slower.
inline constexpr unsigned rounds(unsigned many) {
#ifdef TINTYPE_THREAD_SANITIZER
  return std::max(1U, many / 8);
#else
  return many;
#endif
}

}  // namespace tintype
