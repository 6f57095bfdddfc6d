// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <string>

#include "vmm/base/progress.h"

namespace tintype {

/// The text of the bar, exactly `width` columns: "memory  [#####-----]  50%  256 MiB of 512 MiB, 800 MiB/s, 1 s left".
/// `elapsed`: since the phase began; less than a moment says nothing yet.
std::string progress_text(const Progress& progress, std::chrono::milliseconds elapsed, std::size_t width);

/// A line on stderr that says how far long work is. Removed from the terminal by the destructor. One thread.
class ProgressBar {
 public:
  ProgressBar() = default;
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;
  ~ProgressBar();

  void show(const Progress& progress) noexcept;

 private:
  bool shown_ = false;
  std::string phase_;
  std::chrono::steady_clock::time_point began_{};  ///< the phase
  std::chrono::steady_clock::time_point next_{};   ///< drawn ten times a second at most
};

}  // namespace tintype
