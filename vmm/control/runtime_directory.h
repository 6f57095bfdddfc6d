// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "vmm/base/unique_fd.h"

namespace tintype {

/// $TINTYPE_RUNTIME_DIR, else $XDG_RUNTIME_DIR/tintype, else /run/tintype. Creates nothing.
std::filesystem::path runtime_directory();

/// Where a running machine is looked for, the runtime directory first. Where $TINTYPE_RUNTIME_DIR is not set these are
/// all that it may be for this user: a login shell has $XDG_RUNTIME_DIR and cron has not.
std::vector<std::filesystem::path> lookup_directories();

/// The first of them in which a living machine has this name. Also the first where it may not be looked into.
std::optional<std::filesystem::path> directory_of_machine(const std::string& name);

/// Creates the directory, mode 0700, where it is missing. tintype::Error where that cannot be.
void create_runtime_directory(const std::filesystem::path& directory);

/// 1 to 64 letters, digits, '-', '_' and '.', beginning with a letter, a digit or '_'. UsageError otherwise.
void check_machine_name(std::string_view name);

std::filesystem::path control_socket_path(const std::filesystem::path& directory, const std::string& name);

/// The right to a machine's name, held while the machine lives.
///
/// The name is a locked file (NAME.tintype-lock), because the kernel drops the lock when its holder dies, whatever it
/// dies of, and because of two that start at once exactly one gets it. A socket (NAME.sock) whose lock is free belonged
/// to a machine that was killed. The lock is flock(2)'s: a child of fork() that keeps the descriptor keeps the name.
class NameClaim {
 public:
  /// Takes the name and clears away a dead machine's socket; tintype::Error where a living machine has it.
  NameClaim(const std::filesystem::path& directory, const std::string& name);
  NameClaim(NameClaim&&) noexcept = default;
  NameClaim& operator=(NameClaim&&) = delete;
  ~NameClaim() { release(); }

  /// Removes the socket and the lock: the name is free.
  void release() noexcept;

  /// One attempt; nothing where the name is in use.
  static std::optional<NameClaim> try_take(const std::filesystem::path& directory, const std::string& name);

  const std::string& name() const noexcept { return name_; }
  std::filesystem::path socket_path() const { return control_socket_path(directory_, name_); }

 private:
  NameClaim(const std::filesystem::path& directory, const std::string& name, UniqueFd lock);

  std::filesystem::path directory_;
  std::string name_;
  UniqueFd lock_;
};

/// Process of the machine that holds the name; 0 where it cannot be told.
int pid_of_name_holder(const std::filesystem::path& directory, const std::string& name);

/// Names of the living machines, and of those that are starting, sorted. Clears away what dead ones left behind.
/// tintype::Error where the directory may not be read.
std::vector<std::string> living_machines(const std::filesystem::path& directory);

}  // namespace tintype
