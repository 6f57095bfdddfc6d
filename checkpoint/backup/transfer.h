// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/backup/stream.h"
#include "checkpoint/store/known_manifests.h"
#include "vmm/base/progress.h"

namespace tintype {

/// What became of a checkpoint on its way.
struct Carried {
  std::uint64_t from = 0, id = 0;  ///< its id where it comes from, and where it went; the same where it was only sent
  std::string vm, identity;
  std::uint64_t bytes = 0;
  bool already = false;    ///< it was there, and was not carried again
  bool meanwhile = false;  ///< the same, and somebody else has brought it while this one was carried
  bool base = false;       ///< deleted where it comes from: it is there for those that build on it, and not listed
};

/// A checkpoint that is damaged where it comes from, or builds on one that is.
struct LeftBehind {
  std::uint64_t id = 0;
  std::string why;
};

// Checkpoints keep their identity wherever they are, and get an id of the repository that they come to. One that is
// there already is not carried again, so that whatever broke off goes on where it was, checkpoint by checkpoint. Each
// comes whole and verified, or not at all; and once, though several bring it at the same time. Where `known` is given,
// manifests are read by way of it. All throw tintype::Error.

/// Without an id: all, in order. With one: that, and all that it builds on. The target is made where it is missing.
/// With `left_behind` what is damaged goes there, and the others are carried all the same.
std::vector<Carried> copy_checkpoints(const std::filesystem::path& from, const std::filesystem::path& to,
                                      std::optional<std::uint64_t> id, const ProgressSink& progress = {},
                                      std::vector<LeftBehind>* left_behind = nullptr);

/// Writes a checkpoint, by default the newest, and all that it builds on as a stream; with `after` only what comes
/// after that one.
std::vector<Carried> send_checkpoint(const std::filesystem::path& from, std::optional<std::uint64_t> id,
                                     std::optional<std::uint64_t> after, const PutBytes& put,
                                     const ProgressSink& progress = {}, std::shared_ptr<KnownManifests> known = {});

/// Takes in what a stream holds.
std::vector<Carried> receive_checkpoints(const std::filesystem::path& to, const GetBytes& get,
                                         const ProgressSink& progress = {}, std::shared_ptr<KnownManifests> known = {});

}  // namespace tintype
