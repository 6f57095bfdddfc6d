// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/uio.h>

#include <cstdint>
#include <string>
#include <vector>

namespace tintype {

inline constexpr std::uint64_t kSectorSize = 512;

/// kZero: the sectors are zeros from now on.
enum class BlockOperation : std::uint8_t { kRead, kWrite, kZero, kFlush };

/// One request to a disk, owned by the caller, which keeps it (and the memory of its segments) alive until
/// `done` has been called.
struct BlockRequest {
  BlockOperation operation = BlockOperation::kRead;
  std::uint64_t offset = 0;  ///< bytes from the start of the disk; a multiple of 512 (ignored for kFlush)
  std::vector<iovec>
      segments;  ///< read into, or written from; total length a multiple of 512 (empty for kFlush and kZero)

  /// Called exactly once, on the thread that calls BlockBackend::complete(): 0, or the errno of the failure.
  /// Of a read that failed, the contents of the segments are undefined.
  using Done = void (*)(BlockRequest& request, int error_number) noexcept;
  Done done = nullptr;
  void* owner = nullptr;  ///< for `done` to find its way back

  std::uint64_t length = 0;  ///< bytes, of a kZero, which has no segments; a multiple of 512
  bool may_unmap = false;    ///< of a kZero: the host may have the room back
};

/// A disk as a device sees it: asynchronous requests, no virtio and no guest. One thread (the disk's I/O
/// thread) calls submit() and complete(); requests may complete in any order. A kFlush covers every write
/// whose `done` was called before the flush was submitted.
class BlockBackend {
 public:
  virtual ~BlockBackend() = default;
  virtual std::uint64_t size() const noexcept = 0;  ///< bytes, a multiple of 512
  virtual bool read_only() const noexcept = 0;
  /// Bytes of a logical block: requests of the guest are whole ones.
  virtual std::uint32_t block_size() const noexcept { return kSectorSize; }
  virtual std::string serial() const = 0;  ///< for VIRTIO_BLK_T_GET_ID, at most 20 bytes

  /// Starts a request that lies inside the disk (the caller has checked). Host failures are reported through
  /// `done`, never thrown.
  virtual void submit(BlockRequest& request) noexcept = 0;
  /// Hands what submit() queued to the host in one go. Called at the end of each batch.
  virtual void kick() noexcept = 0;
  /// A descriptor that becomes readable when complete() has work to do.
  virtual int completion_fd() const noexcept = 0;
  /// Calls `done` of each request that the host has finished. Never blocks.
  virtual void complete() noexcept = 0;
  /// The same for who looks often, without a system call where there is nothing to do: false then. What only
  /// completion_fd() tells of may be missed.
  virtual bool poll() noexcept { return false; }
};

}  // namespace tintype
