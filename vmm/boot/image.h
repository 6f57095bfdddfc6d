// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "vmm/base/unique_fd.h"

namespace tintype {

/// A file that is read into guest memory: a kernel or an initrd. Nothing is read but what is asked for.
class ImageFile {
 public:
  /// `what` is "kernel" or "initrd", for the messages. Throws tintype::Error where the path is no readable,
  /// non-empty, regular file.
  ImageFile(const std::filesystem::path& path, std::string_view what);

  const std::string& path() const noexcept { return path_; }
  /// The last element of the path.
  std::string name() const { return std::filesystem::path(path_).filename().string(); }
  std::uint64_t size() const noexcept { return size_; }

  /// Throws tintype::Error ("is truncated") where [offset, offset + length) is not in the file; `part` says
  /// what was to be read.
  void check_range(std::uint64_t offset, std::uint64_t length, std::string_view part) const;
  /// Reads all of `into`, after check_range().
  void read(std::uint64_t offset, std::span<std::byte> into) const;

  template <typename T>
  T load(std::uint64_t offset, std::string_view part) const {
    T value{};
    check_range(offset, sizeof value, part);
    read(offset, std::as_writable_bytes(std::span(&value, 1)));
    return value;
  }

 private:
  std::string path_;
  UniqueFd fd_;
  std::uint64_t size_ = 0;
};

enum class ImageKind : std::uint8_t { kBzImage, kPvhElf, kLinuxElf, kMultiboot, kFlat };

/// What a file is by its first bytes. An ELF file is settled in elf.h, because its notes decide.
enum class Signature : std::uint8_t { kBzImage, kElf, kMultiboot, kFlat };

/// The beginning of a kernel: as much as any format's signature needs.
inline constexpr std::size_t kSignatureBytes = 8192;

/// Flat images end at the top of conventional memory: 608 KiB from 0x7c00.
inline constexpr std::uint64_t kFlatStart = 0x7c00;

/// Looks at the beginning of `file` (at most kSignatureBytes of it). Throws tintype::Error for what is no
/// kernel of a known kind: the rule for flat images, which have no signature that they must bear, is in the
/// README.
Signature detect(const ImageFile& file, std::span<const std::byte> beginning);

/// "Linux bzImage" and so on.
std::string_view kind_name(ImageKind kind) noexcept;

}  // namespace tintype
