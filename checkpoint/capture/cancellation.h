// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>

#include "vmm/base/error.h"

namespace tintype {

/// Somebody did not want the work to be finished.
class Cancelled : public Error {
 public:
  using Error::Error;
};

/// How long work is told to stop. Any thread may ask for it; whoever does the work looks here wherever it would wait.
class Cancellation {
 public:
  void request() noexcept { requested_.store(true); }
  bool requested() const noexcept { return requested_.load(); }
  void clear() noexcept { requested_.store(false); }
  void throw_if_requested() const {
    if (requested()) throw Cancelled("the checkpoint was cancelled");
  }

 private:
  std::atomic<bool> requested_ = false;
};

}  // namespace tintype
