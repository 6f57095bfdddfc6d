// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstring>
#include <deque>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "devices/block/backend.h"
#include "vmm/base/event_fd.h"
#include "vmm/memory/guest_memory.h"

namespace tintype {

/// A disk in memory that finishes requests when, in what order and with what error the test says. It checks
/// what every backend may rely on, and remembers the first thing that was wrong in `complaint`.
class MockBlockBackend final : public BlockBackend {
 public:
  explicit MockBlockBackend(std::uint64_t size, bool read_only = false, std::string serial = "mock-serial")
      : content_(size), read_only_(read_only), serial_(std::move(serial)) {}

  std::uint64_t size() const noexcept override { return content_.size(); }
  bool read_only() const noexcept override { return read_only_; }
  std::uint32_t block_size() const noexcept override { return block_size_; }
  void set_block_size(std::uint32_t bytes) { block_size_ = bytes; }
  std::string serial() const override { return serial_; }
  int completion_fd() const noexcept override { return bell_.fd(); }

  void submit(BlockRequest& request) noexcept override {
    inspect(request);
    queued_.push_back(&request);
  }
  void kick() noexcept override {
    ++kicks_;
    for (BlockRequest* request : queued_) pending_.push_back(request);
    queued_.clear();
    if (!holding_) finish_all();
  }
  void complete() noexcept override {
    bell_.take();
    tell_finished();
  }
  bool poll() noexcept override {
    if (!tells_when_polled_ || finished_.empty()) return false;
    tell_finished();
    return true;
  }

  /// poll() finds what is finished, as complete() does. Then finish() is for the device's own thread.
  void tell_when_polled() { tells_when_polled_ = true; }
  /// Keeps requests pending after kick() until finish() is called.
  void hold(bool on = true) { holding_ = on; }
  std::size_t pending() const { return pending_.size(); }
  const BlockRequest& request(std::size_t n) const { return *pending_.at(n); }
  unsigned kicks() const { return kicks_; }
  unsigned flushes() const { return flushes_; }
  unsigned transfers() const { return transfers_; }
  const std::string& complaint() const { return complaint_; }
  std::vector<std::byte>& content() { return content_; }
  /// Where segments must lie.
  void expect_segments_in(const GuestMemory& memory) { memory_ = &memory; }

  /// The host finishes the n-th pending request: data moves now; `done` is called by the next complete().
  void finish(std::size_t n, int error_number = 0) {
    BlockRequest* request = pending_.at(n);
    pending_.erase(pending_.begin() + static_cast<std::ptrdiff_t>(n));
    if (error_number == 0) transfer(*request);
    finished_.emplace_back(request, error_number);
    bell_.signal();
  }
  void finish_all() {
    while (!pending_.empty()) finish(0);
  }

 private:
  void tell_finished() {
    while (!finished_.empty()) {
      const auto [request, error_number] = finished_.front();
      finished_.pop_front();
      request->done(*request, error_number);
    }
  }
  void inspect(const BlockRequest& request) {
    if (request.done == nullptr) complain("a request without done");
    if (request.operation == BlockOperation::kFlush) {
      if (!request.segments.empty()) complain("a flush with data");
      return;
    }
    if (request.operation == BlockOperation::kZero && !request.segments.empty()) complain("zeros with data");
    std::uint64_t length = request.operation == BlockOperation::kZero ? request.length : 0;
    for (const iovec& segment : request.segments) {
      length += segment.iov_len;
      if (memory_ != nullptr && !is_guest_memory(segment)) complain("a segment outside guest memory");
    }
    if (length == 0 || length % kSectorSize != 0 || request.offset % kSectorSize != 0) complain("not whole sectors");
    if (!range_fits<std::uint64_t>(request.offset, length, content_.size())) complain("outside the disk");
    if (request.operation != BlockOperation::kRead && read_only_) complain("a write to a read-only disk");
  }
  bool is_guest_memory(const iovec& segment) const {
    const auto* start = static_cast<const std::byte*>(segment.iov_base);
    return std::any_of(memory_->regions().begin(), memory_->regions().end(), [&](const MemoryRegion& region) {
      return start >= region.host && start < region.host + region.size &&
             segment.iov_len <= static_cast<std::uint64_t>(region.host + region.size - start);
    });
  }
  void complain(std::string what) {
    if (complaint_.empty()) complaint_ = std::move(what);
  }
  void transfer(const BlockRequest& request) {
    if (request.operation == BlockOperation::kFlush) {
      ++flushes_;
      return;
    }
    ++transfers_;
    std::byte* at = content_.data() + request.offset;
    if (request.operation == BlockOperation::kZero) std::memset(at, 0, request.length);
    for (const iovec& segment : request.segments) {
      if (request.operation == BlockOperation::kRead) std::memcpy(segment.iov_base, at, segment.iov_len);
      if (request.operation == BlockOperation::kWrite) std::memcpy(at, segment.iov_base, segment.iov_len);
      at += segment.iov_len;
    }
  }

  std::vector<std::byte> content_;
  bool read_only_;
  std::uint32_t block_size_ = kSectorSize;
  std::string serial_;
  EventFd bell_;
  bool holding_ = false, tells_when_polled_ = false;
  std::vector<BlockRequest*> queued_, pending_;
  std::deque<std::pair<BlockRequest*, int>> finished_;
  unsigned kicks_ = 0, flushes_ = 0, transfers_ = 0;
  std::string complaint_;
  const GuestMemory* memory_ = nullptr;
};

}  // namespace tintype
