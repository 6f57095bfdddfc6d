// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <memory>

#include "devices/block/virtual_disk.h"
#include "vmm/base/image_place.h"
#include "vmm/machine/machine.h"

namespace tintype {

/// A disk as its device sees it, before and after there is an image: the device of a disk that is restored can be built
/// and its saved state checked while only the size is known, and the image is opened when all of it is written. Until
/// open() nobody may submit.
class DiskSlot final : public BlockBackend {
 public:
  /// `options.image` is not looked at before open().
  DiskSlot(DiskOptions options, DiskTuning tuning, std::uint64_t size)
      : options_(std::move(options)), tuning_(std::move(tuning)), size_(size) {}

  /// Opens and locks the image. Throws tintype::Error for what the user can mend.
  void open(const ImagePlace& image) {
    options_.image = image.path;
    options_.unnamed = image.unnamed;
    options_.absent = image.absent;
    disk_ = std::make_unique<VirtualDisk>(options_, tuning_);
  }
  /// Any thread.
  DiskTraffic traffic() const noexcept {
    return {reads_.load(kRelaxed), writes_.load(kRelaxed), bytes_read_.load(kRelaxed), bytes_written_.load(kRelaxed)};
  }
  /// Null before open().
  VirtualDisk* disk() const noexcept { return disk_.get(); }

  const std::string& id() const noexcept { return options_.id; }
  std::uint64_t size() const noexcept override { return disk_ ? disk_->size() : size_; }
  bool read_only() const noexcept override { return options_.read_only; }
  std::uint32_t block_size() const noexcept override { return options_.behaviour.block_size; }
  std::string serial() const override { return options_.serial; }
  void submit(BlockRequest& request) noexcept override {
    count(request);
    disk_->submit(request);
  }
  void kick() noexcept override {
    if (disk_) disk_->kick();
  }
  int completion_fd() const noexcept override { return disk_ ? disk_->completion_fd() : -1; }
  void complete() noexcept override {
    if (disk_) disk_->complete();
  }
  bool poll() noexcept override { return disk_ && disk_->poll(); }

 private:
  static constexpr auto kRelaxed = std::memory_order_relaxed;

  void count(const BlockRequest& request) noexcept {
    if (request.operation == BlockOperation::kFlush) return;
    std::uint64_t bytes = request.length;
    for (const iovec& segment : request.segments) bytes += segment.iov_len;
    const bool is_read = request.operation == BlockOperation::kRead;
    (is_read ? reads_ : writes_).fetch_add(1, kRelaxed);
    (is_read ? bytes_read_ : bytes_written_).fetch_add(bytes, kRelaxed);
  }

  std::atomic<std::uint64_t> reads_ = 0, writes_ = 0, bytes_read_ = 0, bytes_written_ = 0;
  DiskOptions options_;
  DiskTuning tuning_;
  std::uint64_t size_;
  std::unique_ptr<VirtualDisk> disk_;
};

}  // namespace tintype
