// SPDX-License-Identifier: Apache-2.0
#include "vmm/base/thread.h"

#include <pthread.h>
#include <signal.h>

namespace tintype {

void name_this_thread(const std::string& name) noexcept {
  char text[16] = {};
  name.copy(text, sizeof text - 1);
  ::pthread_setname_np(::pthread_self(), text);
}

void block_signals_in_this_thread() noexcept {
  sigset_t all;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_BLOCK, &all, nullptr);
}

}  // namespace tintype
