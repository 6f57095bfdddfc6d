// SPDX-License-Identifier: Apache-2.0
#include "vmm/base/thread.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>

#include <sys/resource.h>

namespace tintype {

namespace {
thread_local volatile sig_atomic_t called_back = 0;  // written by a signal handler
}

void call_back_this_thread(bool called) noexcept { called_back = called ? 1 : 0; }
bool this_thread_is_called_back() noexcept { return called_back != 0; }

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

// On Linux a nice value belongs to a thread, and 0 is the calling one.
ScopedNice::ScopedNice(int nice) noexcept : before_(::getpriority(PRIO_PROCESS, 0)) {
  ::setpriority(PRIO_PROCESS, 0, nice);
}

ScopedNice::~ScopedNice() { ::setpriority(PRIO_PROCESS, 0, before_); }

namespace {

void set_policy(int policy) noexcept {
  const sched_param no_priority{};
  ::sched_setscheduler(0, policy, &no_priority);
}

}  // namespace

// What it forks is in no hurry.
void hurry(pthread_t thread, bool yes) noexcept {
  sched_param priority{};
  priority.sched_priority = yes ? 1 : 0;
  ::pthread_setschedparam(thread, yes ? SCHED_FIFO | SCHED_RESET_ON_FORK : SCHED_OTHER, &priority);
}

ScopedUrgency::ScopedUrgency() noexcept { hurry(::pthread_self(), true); }
ScopedUrgency::~ScopedUrgency() { hurry(::pthread_self(), false); }

ScopedPatience::ScopedPatience() noexcept { set_policy(SCHED_BATCH); }
ScopedPatience::~ScopedPatience() { set_policy(SCHED_OTHER); }

}  // namespace tintype
