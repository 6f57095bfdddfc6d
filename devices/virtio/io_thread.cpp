// SPDX-License-Identifier: Apache-2.0
#include "devices/virtio/io_thread.h"

#include <sys/epoll.h>

#include <array>

#include "vmm/base/error.h"
#include "vmm/base/thread.h"

namespace tintype {

namespace {
constexpr std::uint32_t kStopSource = ~0U;
}

IoThread::IoThread(std::string name, DeviceLock& lock, std::vector<Source> sources, std::function<void()> after_batch)
    : name_(std::move(name)),
      lock_(lock),
      sources_(std::move(sources)),
      after_batch_(std::move(after_batch)),
      epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
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
  std::array<epoll_event, 16> ready{};
  for (;;) {
    const int count = ::epoll_wait(epoll_.get(), ready.data(), static_cast<int>(ready.size()), -1);
    check(count > 0 || errno == EINTR, "epoll_wait on a device's descriptors works");
    if (count <= 0) continue;
    const auto held = lock_.work();
    for (int i = 0; i < count; ++i) {
      if (ready[static_cast<std::size_t>(i)].data.u32 == kStopSource) return;
    }
    for (int i = 0; i < count; ++i) sources_[ready[static_cast<std::size_t>(i)].data.u32].serve();
    after_batch_();
  }
}

}  // namespace tintype
