// SPDX-License-Identifier: Apache-2.0
#include "vmm/cli/progress_bar.h"

#include <unistd.h>

#include <sys/ioctl.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include <fmt/format.h>

#include "vmm/base/overflow.h"
#include "vmm/cli/values.h"

namespace tintype {

namespace {

constexpr auto kInterval = std::chrono::milliseconds(100);

void write_to_terminal(const std::string& text) {
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, text.data(), text.size());
}

std::size_t terminal_width() {
  winsize size{};
  const bool known = ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col >= 20;
  return known ? size.ws_col - 1 : 79;
}

constexpr auto kMoment = std::chrono::milliseconds(300);

/// What is done is bytes in some phases, and a count in others, which are over at once.
std::string rate_text(const Progress& progress, std::chrono::milliseconds elapsed) {
  if (elapsed < kMoment || progress.done < (1 << 20)) return "";
  constexpr double kFastest = 1e18;  // so that it can be a whole number, whatever it is told
  const double rate =
      std::min(kFastest, static_cast<double>(progress.done) * 1000 / static_cast<double>(elapsed.count()));
  const std::uint64_t left = progress.total - std::min(progress.done, progress.total);
  return fmt::format(", {}/s, {:.0f} s left",
                     format_size(align_down<std::uint64_t>(static_cast<std::uint64_t>(rate), 1 << 20)),
                     std::ceil(static_cast<double>(left) / rate));
}

}  // namespace

std::string progress_text(const Progress& progress, std::chrono::milliseconds elapsed, std::size_t width) {
  const std::uint64_t total = std::max<std::uint64_t>(progress.total, 1);
  const double part = static_cast<double>(std::min(progress.done, total)) / static_cast<double>(total);
  const std::string head = fmt::format("{:<8} ", progress.phase);
  const std::string tail = fmt::format(" {:3.0f}%  {} of {}{}", part * 100, format_size(progress.done),
                                       format_size(progress.total), rate_text(progress, elapsed));
  std::string bar;
  if (head.size() + tail.size() + 6 <= width) {
    const std::size_t cells = width - head.size() - tail.size() - 2;
    const auto filled = static_cast<std::size_t>(part * static_cast<double>(cells));
    bar = "[" + std::string(filled, '#') + std::string(cells - filled, '-') + "]";
  }
  std::string text = head + bar + tail;
  text.resize(width, ' ');
  return text;
}

void ProgressBar::show(const Progress& progress) noexcept {
  const auto now = std::chrono::steady_clock::now();
  if (progress.phase == phase_ && now < next_ && progress.done < progress.total) return;
  if (std::exchange(phase_, progress.phase) != progress.phase) began_ = now;
  next_ = now + kInterval;
  shown_ = true;
  const auto elapsed = std::chrono::duration_cast<std::chrono::milliseconds>(now - began_);
  write_to_terminal("\r" + progress_text(progress, elapsed, terminal_width()));
}

ProgressBar::~ProgressBar() {
  if (shown_) write_to_terminal("\r\x1b[K");
}

}  // namespace tintype
