// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <memory>

#include "checkpoint/store/qcow2_writer.h"
#include "checkpoint/store/sparse_file.h"
#include "vmm/base/words.h"

namespace tintype {

enum class ImageFormat : std::uint8_t { kRaw, kQcow2 };
template <>
inline constexpr auto kWords<ImageFormat> = std::to_array<Word<ImageFormat>>({{ImageFormat::kRaw, "raw"},
                                                                              {ImageFormat::kQcow2, "qcow2"}});

/// A disk image in the making, in either format; what is not written is zero. It takes its name when it is whole.
class DiskImageFile final : public FlatFile {
 public:
  /// Throws as SparseFile does.
  DiskImageFile(const std::filesystem::path& path, std::uint64_t disk_bytes, ImageFormat format);
  /// Offsets never go back.
  void write(std::uint64_t offset, std::span<const std::byte> data) override;
  std::uint64_t size() const noexcept override { return disk_bytes_; }
  /// Whole: takes its name, in the place of a regular file that has it. Returns the length of the file.
  std::uint64_t replace();

 private:
  const std::uint64_t disk_bytes_;
  SparseFile file_;
  std::uint64_t file_bytes_ = 0;
  std::unique_ptr<Qcow2Writer> qcow2_;  ///< none: raw
};

}  // namespace tintype
