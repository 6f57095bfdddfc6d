// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "checkpoint/store/diff.h"
#include "checkpoint/store/operations.h"
#include "checkpoint/store/verify.h"

namespace tintype {

/// What is shown of a repository.
struct RepositoryFilm {
  std::string repository, made;  ///< when: UTC
  std::vector<CheckpointSummary> checkpoints;
  std::vector<CheckpointDiff> diffs;  ///< between neighbours of the same machine, where both can be compared
  std::vector<std::string> notes;     ///< why a comparison is missing
  std::optional<Verification> verification;
};

/// One HTML page, which needs nothing else: no script, no file, no network. Everything in it that was the guest's or a
/// checkpoint's is escaped.
std::string report_page(const RepositoryFilm& film);

}  // namespace tintype
