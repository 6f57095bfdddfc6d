// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "devices/block/virtual_disk.h"

namespace tintype {

/// A disk as its device sees it, before and after there is an image: the device of a disk that is restored can be built
/// and its saved state checked while only the size is known, and the image is opened when all of it is written. Until
/// open() nobody may submit.
class DiskSlot final : public BlockBackend {
 public:
  /// `options.image` is not looked at before open().
  DiskSlot(DiskOptions options, DiskTuning tuning, std::uint64_t size)
      : options_(std::move(options)), tuning_(std::move(tuning)), size_(size) {}

  /// Opens and locks the image, of which `absent`, where that is not null, is still to come. Throws tintype::Error for
  /// what the user can mend.
  void open(const std::filesystem::path& image, std::shared_ptr<AbsentBlocks> absent) {
    options_.image = image;
    options_.absent = std::move(absent);
    disk_ = std::make_unique<VirtualDisk>(options_, tuning_);
  }
  /// Null before open().
  VirtualDisk* disk() const noexcept { return disk_.get(); }

  const std::string& id() const noexcept { return options_.id; }
  std::uint64_t size() const noexcept override { return disk_ ? disk_->size() : size_; }
  bool read_only() const noexcept override { return options_.read_only; }
  std::uint32_t block_size() const noexcept override { return options_.behaviour.block_size; }
  std::string serial() const override { return options_.serial; }
  void submit(BlockRequest& request) noexcept override { disk_->submit(request); }
  void kick() noexcept override {
    if (disk_) disk_->kick();
  }
  int completion_fd() const noexcept override { return disk_ ? disk_->completion_fd() : -1; }
  void complete() noexcept override {
    if (disk_) disk_->complete();
  }
  bool poll() noexcept override { return disk_ && disk_->poll(); }

 private:
  DiskOptions options_;
  DiskTuning tuning_;
  std::uint64_t size_;
  std::unique_ptr<VirtualDisk> disk_;
};

}  // namespace tintype
