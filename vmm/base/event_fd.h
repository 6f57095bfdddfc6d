// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "vmm/base/unique_fd.h"

namespace tintype {

/// A non-blocking eventfd: a doorbell between threads, and between KVM (ioeventfd) and threads.
class EventFd {
 public:
  EventFd();
  int fd() const noexcept { return fd_.get(); }
  /// Rings the bell. Never blocks; a bell that rings already keeps ringing.
  void signal() noexcept;
  /// Silences the bell; true where it had rung.
  bool take() noexcept;

 private:
  UniqueFd fd_;
};

}  // namespace tintype
