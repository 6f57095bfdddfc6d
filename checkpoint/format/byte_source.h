// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "vmm/base/unique_fd.h"

namespace tintype {

/// A file of a checkpoint for whoever reads it, wherever it lies: at any place, from several threads at once.
class ByteSource {
 public:
  virtual ~ByteSource() = default;
  /// For messages: a path, or what else leads there.
  virtual const std::string& name() const noexcept = 0;
  virtual std::uint64_t size() const noexcept = 0;
  /// All of `into`. Throws std::system_error or tintype::Error, also where that is more than there is.
  virtual void read(std::uint64_t offset, std::span<std::byte> into) const = 0;
  /// The first byte from here on that may be other than zero; `to` where there is none before it.
  virtual std::uint64_t next_data(std::uint64_t from, std::uint64_t to) const noexcept;
};

/// A file. It can be read to its end, whatever becomes of its name.
class FileSource final : public ByteSource {
 public:
  /// Throws std::system_error.
  explicit FileSource(const std::filesystem::path& path);
  const std::string& name() const noexcept override { return name_; }
  std::uint64_t size() const noexcept override { return size_; }
  void read(std::uint64_t offset, std::span<std::byte> into) const override;
  std::uint64_t next_data(std::uint64_t from, std::uint64_t to) const noexcept override;

 private:
  const std::string name_;
  const UniqueFd fd_;
  const std::uint64_t size_;
};

/// All of it. Throws ImageError where it is larger than `limit`, and what read() throws.
std::vector<std::byte> read_all(const ByteSource& source, std::uint64_t limit);

}  // namespace tintype
