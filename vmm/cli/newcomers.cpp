// SPDX-License-Identifier: Apache-2.0
#include "vmm/cli/newcomers.h"

#include <unistd.h>

#include <sys/inotify.h>

#include <array>

#include "vmm/base/error.h"
#include "vmm/control/runtime_directory.h"

namespace tintype {

namespace {

constexpr std::uint32_t kChanges = IN_CREATE | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;

}  // namespace

Newcomers::Newcomers() : inotify_(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK)) {
  if (!inotify_) throw_errno("inotify_init1");
  take();
}

// A directory that went and came again is another one: what the kernel tells of the old one forgets it.
void Newcomers::take() {
  alignas(inotify_event) std::array<char, 4096> buffer;
  for (;;) {
    const auto count = ::read(inotify_.get(), buffer.data(), buffer.size());
    if (count <= 0) break;
    for (std::ptrdiff_t at = 0; at < count;) {
      const auto* event = reinterpret_cast<const inotify_event*>(buffer.data() + at);
      if ((event->mask & (IN_IGNORED | IN_DELETE_SELF | IN_MOVE_SELF)) != 0)
        std::erase_if(watched_, [event](const auto& entry) { return entry.second == event->wd; });
      at += static_cast<std::ptrdiff_t>(sizeof(inotify_event) + event->len);
    }
  }
  all_there_ = true;
  for (const auto& directory : lookup_directories()) {
    if (watched_.contains(directory)) continue;
    const int watch = ::inotify_add_watch(inotify_.get(), directory.c_str(), kChanges);
    if (watch >= 0) watched_[directory] = watch;
    if (watch < 0) all_there_ = false;
  }
}

std::chrono::milliseconds Newcomers::patience() const noexcept {
  return all_there_ ? std::chrono::milliseconds(std::chrono::hours(1)) : std::chrono::milliseconds(500);
}

}  // namespace tintype
