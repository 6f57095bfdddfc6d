// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <pthread.h>

#include <string>

namespace tintype {

/// Names the calling thread (at most 15 characters), for ps, perf and gdb.
void name_this_thread(const std::string& name) noexcept;

/// Blocks every signal in the calling thread, so that signals reach only the threads that expect them.
/// Threads started afterwards inherit it.
void block_signals_in_this_thread() noexcept;

/// Some threads are called back from what they do: a vCPU's, to park it. Who calls one back sets its mark (on the
/// thread itself, in the handler of the signal that reaches it); a wait in the middle of its work, for a slow host say,
/// looks at the mark every millisecond or so and ends early. The thread takes the mark away when it has come back.
void call_back_this_thread(bool called) noexcept;
bool this_thread_is_called_back() noexcept;

/// Gives the calling thread another nice value (-20 to 19) until the object goes. Raising priority needs CAP_SYS_NICE;
/// without it nothing happens.
class ScopedNice {
 public:
  explicit ScopedNice(int nice) noexcept;
  ~ScopedNice();
  ScopedNice(const ScopedNice&) = delete;
  ScopedNice& operator=(const ScopedNice&) = delete;

 private:
  int before_;
};

/// A whole machine waits for the calling thread, until the object goes: it gets a CPU at once (SCHED_FIFO, or at least
/// a low nice value). Not for work that is longer than a few milliseconds. Needs CAP_SYS_NICE; without it nothing
/// happens.
class ScopedUrgency {
 public:
  ScopedUrgency() noexcept;
  ~ScopedUrgency();
  ScopedUrgency(const ScopedUrgency&) = delete;
  ScopedUrgency& operator=(const ScopedUrgency&) = delete;

 private:
  const ScopedNice nice_{-15};
};

/// The same of another thread, from now on or no longer.
void hurry(pthread_t thread, bool yes) noexcept;

/// The calling thread does what nobody waits for, until the object goes: it has a small share of a CPU that others
/// want, and does not take it, when it wakes up, from one that is at work there (SCHED_BATCH). A nice value alone does
/// not see to that: a thread that deleted an old checkpoint was seen to interrupt one that had paused the machine, for
/// 2 ms.
class ScopedPatience {
 public:
  ScopedPatience() noexcept;
  ~ScopedPatience();
  ScopedPatience(const ScopedPatience&) = delete;
  ScopedPatience& operator=(const ScopedPatience&) = delete;

 private:
  const ScopedNice nice_{10};
};

}  // namespace tintype
