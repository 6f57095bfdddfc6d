// SPDX-License-Identifier: Apache-2.0
#pragma once

// A film whose checkpoints are deleted and merged, and what must be true of it then.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "checkpoint/store/tidy.h"
#include "checkpoint/store/verify.h"
#include "tests/unit/store/film.h"

namespace tintype::tidy_test {

using namespace checkpoint_test;
namespace fs = std::filesystem;

inline const TidyOptions kAlways{[](std::span<const std::uint64_t>) { return true; }};
inline const TidyOptions kAlwaysByNames{[](std::span<const std::uint64_t>) { return true; }, false};
inline const TidyOptions kNever{[](std::span<const std::uint64_t>) { return false; }};

inline std::vector<std::uint64_t> ids(const fs::path& repository) { return Repository::open(repository).ids(); }
inline std::vector<std::uint64_t> bases(const fs::path& repository) { return Repository::open(repository).bases(); }

/// So many, each built on the one before, the first whole. Returns the last.
inline Manifest take_chain(const fs::path& repository, unsigned count, Compression codec = Compression::kNone) {
  std::optional<Manifest> last;
  for (unsigned i = 0; i < count; ++i) last = film::take(repository, last, codec);
  return *last;
}

inline void check_all(const fs::path& repository) {
  CHECK(film::first_fault(repository) == "");
  const Verification result = verify_checkpoints(repository, std::nullopt);
  if (!result.good()) FAIL_CHECK(result.damages.front().reason);
}

inline void check_no_leftovers(const fs::path& repository) {
  for (const std::string& name : names_in(repository)) {
    CAPTURE(name);
    const bool known = name == ".lock" || name.starts_with(".last-id-") || name.starts_with(".base-") || name[0] != '.';
    CHECK(known);
  }
}

}  // namespace tintype::tidy_test
