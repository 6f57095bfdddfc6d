// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>

#include "vmm/base/unnamed_file.h"

namespace tintype {

/// What flat contents are written to.
class FlatFile {
 public:
  virtual ~FlatFile() = default;
  virtual void write(std::uint64_t offset, std::span<const std::byte> data) = 0;
  /// Where the contents end, in bytes.
  virtual std::uint64_t size() const noexcept = 0;
};

/// A flat file that takes its name only when it is whole; until then it has none, and nothing is left where that is
/// never reached. What is not written is a hole. Throws DestinationFull where there is no room, Error for what else
/// fails.
class SparseFile final : public FlatFile {
 public:
  /// `path` is where it will be, for messages and for its directory; whatever is there is left alone so far.
  SparseFile(const std::filesystem::path& path, std::uint64_t bytes);

  void write(std::uint64_t offset, std::span<const std::byte> data) override;
  /// Takes its name, in the place of a regular file that has it.
  void replace();
  /// Takes this name of the same directory. False where it is taken.
  [[nodiscard]] bool take_name(const std::filesystem::path& path);
  /// Its data is on the device. Before it takes a name.
  void sync();

  /// Its own, for whoever goes on with it.
  UniqueFd duplicate() const;

  const std::filesystem::path& path() const noexcept { return path_; }
  std::uint64_t size() const noexcept override { return size_; }

 private:
  template <typename Function>
  auto said_plainly(Function function);

  std::filesystem::path path_;
  std::uint64_t size_;
  UnnamedFile file_;
};

/// The name with links followed, so that the file is replaced and not the link to it. Throws Error where something is
/// there that is not a regular file: that is never written over.
std::filesystem::path replaceable_name(const std::filesystem::path& path);

}  // namespace tintype
