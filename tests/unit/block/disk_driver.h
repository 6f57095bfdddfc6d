// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <poll.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <vector>

#include "devices/block/virtual_disk.h"

namespace tintype {

/// A request that a test keeps in flight.
class PendingRequest {
 public:
  PendingRequest(BlockBackend& disk, BlockOperation operation, std::uint64_t offset = 0, std::size_t length = 0,
                 std::uint8_t value = 0xee)
      : data(length, std::byte{value}), disk_(disk) {
    request_.operation = operation;
    request_.offset = offset;
    if (length > 0) request_.segments.push_back({data.data(), data.size()});
    request_.owner = this;
    request_.done = [](BlockRequest& done, int error_number) noexcept {
      static_cast<PendingRequest*>(done.owner)->result_ = error_number;
    };
    disk_.submit(request_);
    disk_.kick();
  }
  PendingRequest(const PendingRequest&) = delete;
  PendingRequest& operator=(const PendingRequest&) = delete;

  /// Has been answered, with what is at hand.
  bool done() {
    for (int i = 0; i < 20; ++i) disk_.complete();  // a request may have several stages, and others before it
    return result_ >= 0;
  }
  int result() const { return result_; }

  std::vector<std::byte> data;

 private:
  BlockBackend& disk_;
  BlockRequest request_;
  int result_ = -1;
};

/// Drives a disk the way a device does, one request at a time, waiting for each.
class DiskDriver {
 public:
  explicit DiskDriver(BlockBackend& disk) : disk_(disk) {}

  int read(std::uint64_t offset, std::span<std::byte> into) { return run(BlockOperation::kRead, offset, into); }
  int write(std::uint64_t offset, std::span<const std::byte> from) {
    return run(BlockOperation::kWrite, offset, {const_cast<std::byte*>(from.data()), from.size()});
  }
  int zero(std::uint64_t offset, std::uint64_t length, bool may_unmap = true) {
    BlockRequest request;
    request.operation = BlockOperation::kZero;
    request.offset = offset;
    request.length = length;
    request.may_unmap = may_unmap;
    return run(request);
  }
  int flush() { return run(BlockOperation::kFlush, 0, {}); }

  int fill(std::uint64_t offset, std::size_t length, std::uint8_t value) {
    return write(offset, std::vector<std::byte>(length, std::byte{value}));
  }
  /// True where the range holds nothing but `value`.
  bool holds(std::uint64_t offset, std::size_t length, std::uint8_t value) {
    std::vector<std::byte> data(length, std::byte{0xee});
    if (read(offset, data) != 0) return false;
    return data == std::vector<std::byte>(length, std::byte{value});
  }

 private:
  int run(BlockOperation operation, std::uint64_t offset, std::span<std::byte> data) {
    BlockRequest request;
    request.operation = operation;
    request.offset = offset;
    if (!data.empty()) request.segments.push_back({data.data(), data.size()});
    return run(request);
  }
  int run(BlockRequest& request) {
    int result = -1;
    request.owner = &result;
    request.done = [](BlockRequest& done, int error_number) noexcept { *static_cast<int*>(done.owner) = error_number; };
    disk_.submit(request);
    disk_.kick();
    while (result < 0) wait_and_complete();
    return result;
  }

  void wait_and_complete() {
    pollfd waiting{disk_.completion_fd(), POLLIN, 0};
    if (::poll(&waiting, 1, 30'000) == 0) throw std::runtime_error("the disk does not answer");
    disk_.complete();
  }

  BlockBackend& disk_;
};

}  // namespace tintype
