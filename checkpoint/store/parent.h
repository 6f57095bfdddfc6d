// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "vmm/base/error.h"

namespace tintype {

/// The checkpoint that an incremental one builds on.
struct ParentRef {
  std::uint64_t id = 0;
  std::string identity;  ///< as its manifest has it
};

/// The parent is not there any more, is another one, is not whole, or is of another machine: nothing can build on it,
/// and a full checkpoint is what can be taken.
class ParentGone : public Error {
 public:
  using Error::Error;
};

/// It is there, and somebody has found that it is damaged. That is worth to be told.
class ParentDamaged : public ParentGone {
 public:
  using ParentGone::ParentGone;
};

}  // namespace tintype
