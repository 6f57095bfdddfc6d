// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/store/image_file.h"

#include <algorithm>

namespace tintype {

DiskImageFile::DiskImageFile(const std::filesystem::path& path, std::uint64_t disk_bytes, ImageFormat format)
    : disk_bytes_(disk_bytes), file_(path, format == ImageFormat::kRaw ? disk_bytes : 0) {
  if (format == ImageFormat::kRaw) {
    file_bytes_ = disk_bytes;
    return;
  }
  qcow2_ = std::make_unique<Qcow2Writer>(disk_bytes, [this](std::uint64_t offset, std::span<const std::byte> data) {
    file_.write(offset, data);
    file_bytes_ = std::max(file_bytes_, offset + data.size());
  });
}

void DiskImageFile::write(std::uint64_t offset, std::span<const std::byte> data) {
  qcow2_ ? qcow2_->write(offset, data) : file_.write(offset, data);
}

std::uint64_t DiskImageFile::replace() {
  if (qcow2_) qcow2_->finish();
  file_.replace();
  return file_bytes_;
}

}  // namespace tintype
