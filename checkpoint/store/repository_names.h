// SPDX-License-Identifier: Apache-2.0
#pragma once

// The names in a repository (checkpoint/FORMAT.md), and the lock on them. For what works on repositories.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "vmm/base/unique_fd.h"

namespace tintype::repository_names {

inline constexpr const char* kLockName = ".lock";          // empty; taken for the moments in which names change
inline constexpr std::string_view kPending = ".tmp-";      // ".tmp-00000004", a checkpoint in the making
inline constexpr std::string_view kDeleted = ".deleted-";  // on its way out
inline constexpr std::string_view kBase = ".base-";        // deleted, but others build on it
inline constexpr std::string_view kMerged = ".merge-";     // what is going to take the place of this one, in the making
inline constexpr std::string_view kReplacement = ".new-";  // the same, whole; it is this one where that has no name
inline constexpr std::string_view kLastId = ".last-id-";   // empty; this id was deleted, and none below it is free
inline constexpr const char* kScratchName = ".scratch";    // nothing here need outlast the computer's run
inline constexpr const char* kWriterLockName = ".writer";  // inside of ".tmp-" and ".merge-", locked by its writer

std::string id_name(std::uint64_t id);
/// The id in a name as id_name() makes them; nothing in all other names.
std::optional<std::uint64_t> id_of(std::string_view name);
std::optional<std::uint64_t> id_after(std::string_view prefix, std::string_view name);
std::string prefixed(std::string_view prefix, std::uint64_t id);

/// Throws tintype::Error where the directory cannot be read.
void for_each_name(const std::filesystem::path& directory, const std::function<void(const std::string&)>& function);

/// The lock on the names of a repository. Held for moments, never while data is written.
class NamesLock {
 public:
  /// Waits some seconds for it; throws tintype::Error.
  explicit NamesLock(const std::filesystem::path& repository);

 private:
  UniqueFd fd_;
};

/// rename() that never replaces anything. Under the lock on names.
void rename_new(const std::filesystem::path& from, const std::filesystem::path& to);

/// A new directory for data in the making. Its writer's lock is in it, and in that the id of what it builds on (0: on
/// nothing). Throws tintype::Error. Under the lock on names.
UniqueFd create_with_writer_lock(const std::filesystem::path& directory, std::uint64_t parent);
/// True where the process that wrote this is gone (or never came as far as its lock). Under the lock on names.
bool writer_is_dead(const std::filesystem::path& pending);
/// What one that is alive builds on.
std::uint64_t writers_parent(const std::filesystem::path& pending);

/// What stays is removed when the next checkpoint is begun.
void remove_quietly(const std::filesystem::path& path) noexcept;

}  // namespace tintype::repository_names
