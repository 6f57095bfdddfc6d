// SPDX-License-Identifier: Apache-2.0
#include "devices/virtio/io_thread.h"

#include <sys/epoll.h>

#include <array>

#include "vmm/base/error.h"
#include "vmm/base/thread.h"

namespace tintype {

namespace {
constexpr std::uint32_t kStopSource = ~0U;
constexpr auto kLongestLook = std::chrono::microseconds(64);
/// A thread that finds work by looking looks at its descriptors that often.
constexpr auto kDescriptorsEach = std::chrono::microseconds(100);

/// Looking is for hosts on which the guest can run meanwhile.
PollWindow::Duration longest_look(bool can_look) {
  return can_look && std::thread::hardware_concurrency() > 1 ? kLongestLook : PollWindow::Duration::zero();
}

}  // namespace

IoThread::IoThread(std::string name, DeviceLock& lock, std::vector<Source> sources, std::function<void()> after_batch,
                   Polling polling)
    : name_(std::move(name)),
      lock_(lock),
      sources_(std::move(sources)),
      after_batch_(std::move(after_batch)),
      epoll_(::epoll_create1(EPOLL_CLOEXEC)),
      polling_(std::move(polling)),
      window_(longest_look(polling_.look != nullptr)) {
  if (!epoll_) throw_errno("epoll_create1");
  watch(stop_.fd(), kStopSource);
  for (std::uint32_t i = 0; i < sources_.size(); ++i) watch(sources_[i].fd, i);
  thread_ = std::thread([this] { run(); });
}

IoThread::~IoThread() {
  stop_.signal();
  thread_.join();
}

void IoThread::watch(int fd, std::uint32_t source) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u32 = source;
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0)
    throw_errno("epoll_ctl: add descriptor {} for {}", fd, name_);
}

void IoThread::run() noexcept {
  block_signals_in_this_thread();
  name_this_thread(name_);
  bool busy = false;
  while (serve_descriptors(!busy)) {
    busy = look_for_work();
    if (!busy) rest();
  }
  rest();
}

// False where the thread is to end.
bool IoThread::serve_descriptors(bool may_sleep) noexcept {
  std::array<epoll_event, 16> ready{};
  const int count = ::epoll_wait(epoll_.get(), ready.data(), static_cast<int>(ready.size()), may_sleep ? -1 : 0);
  check(count >= 0 || errno == EINTR, "epoll_wait on a device's descriptors works");
  if (count <= 0) return true;
  const auto held = lock_.work();
  for (int i = 0; i < count; ++i) {
    if (ready[static_cast<std::size_t>(i)].data.u32 == kStopSource) return false;
  }
  if (may_sleep) found_work();
  for (int i = 0; i < count; ++i) sources_[ready[static_cast<std::size_t>(i)].data.u32].serve();
  after_batch_();
  idle_since_ = Clock::now();
  return true;
}

// Until nothing has come for as long as is worth it: then false; true where the descriptors are to be looked at. Once
// in any case: what the host finished on the spot is there.
bool IoThread::look_for_work() noexcept {
  if (!polling_.look) return false;
  const auto descriptors_due = Clock::now() + kDescriptorsEach;
  for (;;) {
    {
      const auto held = lock_.work();
      if (polling_.look()) {
        found_work();
        idle_since_ = Clock::now();
      }
    }
    const auto now = Clock::now();
    if (now - idle_since_ >= window_.length()) return false;
    if (now >= descriptors_due) return true;
    std::this_thread::yield();  // to whoever wants the lock, and to the threads of the host that do the I/O
  }
}

void IoThread::rest() noexcept {
  if (!polling_.rest) return;
  const auto held = lock_.work();
  polling_.rest();
}

void IoThread::found_work() noexcept { window_.waited(Clock::now() - idle_since_); }

}  // namespace tintype
