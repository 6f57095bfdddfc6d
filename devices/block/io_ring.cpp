// SPDX-License-Identifier: Apache-2.0
#include "devices/block/io_ring.h"

#include <sched.h>

#include <utility>

#include "vmm/base/error.h"

namespace tintype {
namespace {

constexpr unsigned kSubmissions = 256;
constexpr unsigned kCompletions = 4096;

}  // namespace

IoRing::IoRing() {
  io_uring_params parameters{};
  parameters.flags = IORING_SETUP_CQSIZE;
  parameters.cq_entries = kCompletions;
  const int result = ::io_uring_queue_init_params(kSubmissions, &ring_, &parameters);
  if (result < 0) throw_errno_text(-result, "io_uring_setup");
  ::io_uring_ring_dontfork(&ring_);  // a child must not keep the ring, and its I/O, alive
  const int registered = ::io_uring_register_eventfd(&ring_, bell_.fd());
  if (registered < 0) {
    ::io_uring_queue_exit(&ring_);
    throw_errno_text(-registered, "io_uring_register(IORING_REGISTER_EVENTFD)");
  }
}

IoRing::~IoRing() { ::io_uring_queue_exit(&ring_); }

void IoRing::queue(HostIo& io) noexcept {
  const std::lock_guard lock(queue_mutex_);
  queue_locked(io);
}

void IoRing::queue_locked(HostIo& io) noexcept {
  io.next = nullptr;
  (queue_last_ == nullptr ? queue_first_ : queue_last_->next) = &io;
  queue_last_ = &io;
}

HostIo* IoRing::take_queue() noexcept {
  const std::lock_guard lock(queue_mutex_);
  queue_last_ = nullptr;
  return std::exchange(queue_first_, nullptr);
}

HostIo* IoRing::take_queued_writes() noexcept {
  const std::lock_guard lock(queue_mutex_);
  HostIo* io = std::exchange(queue_first_, nullptr);
  queue_last_ = nullptr;
  HostIo* first = nullptr;
  HostIo** end = &first;
  while (io != nullptr) {
    HostIo* const next = io->next;
    if (io->kind == HostIo::Kind::kRead) {
      queue_locked(*io);
    } else {
      io->next = nullptr;
      *end = io;
      end = &io->next;
    }
    io = next;
  }
  return first;
}

void IoRing::submit(HostIo* list) noexcept {
  if (list == nullptr) return;
  const std::lock_guard lock(submit_mutex_);
  while (list != nullptr) {
    HostIo* const next = list->next;
    prepare(*list);
    list = next;
  }
  enter();
}

io_uring_sqe& IoRing::take_entry() noexcept {
  io_uring_sqe* entry = ::io_uring_get_sqe(&ring_);
  while (entry == nullptr) {
    enter();
    entry = ::io_uring_get_sqe(&ring_);
  }
  return *entry;
}

// The end of a timeout rings the bell as any completion does, and stands for no transfer.
void IoRing::ring_bell_after(std::chrono::milliseconds time) noexcept {
  const std::lock_guard lock(submit_mutex_);
  __kernel_timespec limit{time.count() / 1000, time.count() % 1000 * 1'000'000};
  io_uring_sqe& entry = take_entry();
  ::io_uring_prep_timeout(&entry, &limit, 0, 0);
  ::io_uring_sqe_set_data(&entry, nullptr);
  enter();
}

void IoRing::prepare(HostIo& io) noexcept {
  io_uring_sqe* const entry = &take_entry();
  switch (io.kind) {
    case HostIo::Kind::kRead:
      ::io_uring_prep_readv(entry, io.fd, io.remaining(), io.remaining_count(), io.offset);
      break;
    case HostIo::Kind::kWrite:
      ::io_uring_prep_writev(entry, io.fd, io.remaining(), io.remaining_count(), io.offset);
      break;
    case HostIo::Kind::kZero:
      ::io_uring_prep_fallocate(entry, io.fd, io.fallocate_mode(), static_cast<off_t>(io.offset),
                                static_cast<off_t>(io.length));
      break;
    case HostIo::Kind::kSync:
      ::io_uring_prep_fsync(entry, io.fd, IORING_FSYNC_DATASYNC);
      break;
  }
  ::io_uring_sqe_set_data(entry, &io);
  handed_over_.fetch_add(1, std::memory_order_release);
}

// The kernel refuses for a moment when it is short of memory, and some kernels while completions wait to be
// taken.
void IoRing::enter() noexcept {
  while (::io_uring_sq_ready(&ring_) != 0) {
    if (::io_uring_submit(&ring_) >= 0) continue;
    set_aside_completions();
    ::sched_yield();
  }
}

HostIo* IoRing::take_completion() noexcept {
  for (;;) {
    io_uring_cqe* completion = nullptr;
    if (::io_uring_peek_cqe(&ring_, &completion) != 0) return nullptr;
    static_cast<void>(handed_over_.load(std::memory_order_acquire));
    auto* io = static_cast<HostIo*>(::io_uring_cqe_get_data(completion));
    const std::int64_t result = completion->res;
    ::io_uring_cqe_seen(&ring_, completion);
    if (io == nullptr) continue;
    if (io->settle(result)) return io;
    queue(*io);
    bell_.signal();  // whoever takes this completion may be one who does not submit reads
  }
}

void IoRing::set_aside_completions() noexcept {
  const std::lock_guard lock(reap_mutex_);
  while (HostIo* const io = take_completion()) {
    io->next = nullptr;
    (aside_first_ == nullptr ? aside_first_ : aside_last_->next) = io;
    aside_last_ = io;
  }
}

bool IoRing::has_finished() noexcept {
  const std::lock_guard lock(reap_mutex_);
  return aside_first_ != nullptr || ::io_uring_cq_ready(&ring_) != 0;
}

HostIo* IoRing::reap() noexcept {
  const std::lock_guard lock(reap_mutex_);
  if (aside_first_ != nullptr) return std::exchange(aside_first_, aside_first_->next);
  return take_completion();
}

}  // namespace tintype
