// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/uio.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <vector>

namespace tintype {

/// One transfer between memory and one place in one host file, or zeros put there, or an fdatasync of it. Owned by
/// whoever queues it, who keeps it, its buffers and the descriptor alive until reap() has returned it.
struct HostIo {
  /// kZero: by a hole (`punches`) or by what else the file system has, and where it has nothing, by writing zeros: the
  /// transfer is a kWrite then.
  enum class Kind : std::uint8_t { kRead, kWrite, kZero, kSync };

  Kind kind = Kind::kRead;
  int fd = -1;
  std::uint64_t offset = 0;     ///< bytes, in the file; moves forward when a transfer comes out short
  std::vector<iovec> segments;  ///< the engine consumes them
  std::uint64_t length = 0;     ///< bytes, of a kZero
  bool punches = false;         ///< a kZero gives back the room
  int error_number = 0;         ///< of a finished one: 0, or the errno
  bool is_absent = false;       ///< it failed untried, because what it wants is not there yet; it may be, later

  // The engine's own.
  std::size_t first_segment = 0;  ///< how many segments have been dealt with
  HostIo* next = nullptr;

  /// The segments still to be transferred, at most as many as the kernel takes in one call.
  iovec* remaining() noexcept { return segments.data() + first_segment; }
  unsigned remaining_count() const noexcept;
  int fallocate_mode() const noexcept;  ///< of a kZero
  /// Takes the result of one system call (bytes, or a negative errno). True where the transfer is over; else
  /// what remains must be tried again.
  bool settle(std::int64_t result) noexcept;
  /// The system call, on this thread: what settle() takes.
  std::int64_t perform() noexcept;

 private:
  void write_zeros_instead() noexcept;
};

/// Does host I/O in the background. Every method may be called from any thread; none waits for I/O.
/// Transfers finish in any order. A transfer is whole or failed: short ones are continued, interrupted ones
/// repeated.
class IoEngine {
 public:
  virtual ~IoEngine() = default;
  virtual const char* name() const noexcept = 0;
  virtual void queue(HostIo& io) noexcept = 0;
  /// Starts what has been queued.
  virtual void kick() noexcept = 0;
  /// The same, but leaves reads to whoever kicks next. For threads that must never wait for a page fault: a read writes
  /// to guest memory, which may be write-protected, and io_uring finishes it in the thread that submitted it, at any
  /// later moment.
  virtual void kick_writes() noexcept = 0;
  /// The next finished one, or nullptr. What it had to continue is queued again: kick() after reaping.
  virtual HostIo* reap() noexcept = 0;
  /// Whether reap() would return something, without a system call. An engine that cannot tell says no.
  virtual bool has_finished() noexcept { return false; }
  /// Becomes readable when something has finished; reset with acknowledge() before reaping.
  virtual int completion_fd() const noexcept = 0;
  virtual void acknowledge() noexcept = 0;
  /// Makes completion_fd() readable, for work that is found by another thread.
  virtual void ring_bell() noexcept = 0;
  /// The same, some time later.
  virtual void ring_bell_after(std::chrono::milliseconds time) noexcept = 0;
};

enum class IoEngineKind : std::uint8_t { kAuto, kRing, kThreads };

/// kAuto is io_uring where the kernel permits it, else threads. kRing throws std::system_error where it does
/// not.
std::unique_ptr<IoEngine> make_io_engine(IoEngineKind kind);

}  // namespace tintype
