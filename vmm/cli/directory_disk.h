// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "vmm/machine/config.h"

namespace tintype {

/// The directory that a disk is made from: `dir:PATH` in the place of an image. Nothing where it is an image.
std::optional<std::filesystem::path> directory_of(const DiskConfig& disk);

/// mke2fs, by its path where it is not on every user's PATH.
std::string mke2fs_program();

/// Images of the disks that are made from a directory (`--disk dir:PATH`): ext4, by mke2fs, with room to write. They
/// have a name for as long as this lives, which need not be longer than until the machine has opened them: so they go
/// with the machine, however that ends.
class DirectoryDisks {
 public:
  /// Makes them in the directory for disks, or in the one for large temporary files, and names them in `config`. Throws
  /// tintype::Error.
  explicit DirectoryDisks(MachineConfig& config);
  ~DirectoryDisks();
  DirectoryDisks(const DirectoryDisks&) = delete;
  DirectoryDisks& operator=(const DirectoryDisks&) = delete;

 private:
  std::vector<std::filesystem::path> images_;
};

}  // namespace tintype
