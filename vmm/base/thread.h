// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace tintype {

/// Names the calling thread (at most 15 characters), for ps, perf and gdb.
void name_this_thread(const std::string& name) noexcept;

/// Blocks every signal in the calling thread, so that signals reach only the threads that expect them.
/// Threads started afterwards inherit it.
void block_signals_in_this_thread() noexcept;

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

}  // namespace tintype
