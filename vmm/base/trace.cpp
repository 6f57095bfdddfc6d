// SPDX-License-Identifier: Apache-2.0
#include "vmm/base/trace.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>

#include <fmt/format.h>

namespace tintype {

namespace {

using Clock = std::chrono::steady_clock;

std::atomic<Clock::rep> begun = 0;
std::atomic<bool> as_json = false;

double seconds_since_begun() noexcept {
  const Clock::duration since = Clock::now().time_since_epoch() - Clock::duration(begun.load());
  return std::chrono::duration<double>(since).count();
}

/// A number's digits, or a text with what surrounds it.
class Digits {
 public:
  template <typename... Args>
  explicit Digits(fmt::format_string<Args...> format, const Args&... args) noexcept {
    const auto end = fmt::vformat_to_n(text_.data(), text_.size(), format, fmt::make_format_args(args...));
    size_ = std::min(end.size, text_.size());
  }
  operator std::string_view() const noexcept { return {text_.data(), size_}; }

 private:
  std::array<char, 256> text_{};
  std::size_t size_ = 0;
};

/// As it may stand between quotes: what a guest or a user has named is not to be trusted.
class Quoted {
 public:
  explicit Quoted(std::string_view text) noexcept {
    put('"');
    for (const char letter : text.substr(0, kLongest)) {
      if (letter == '"' || letter == '\\') put('\\');
      put(letter >= ' ' && letter <= '~' ? letter : '?');
    }
    put('"');
  }
  operator std::string_view() const noexcept { return {text_.data(), size_}; }
  /// Without the quotes.
  std::string_view bare() const noexcept { return {text_.data() + 1, size_ - 2}; }

 private:
  static constexpr std::size_t kLongest = 120;
  void put(char letter) noexcept { text_[size_++] = letter; }

  std::array<char, 2 * kLongest + 2> text_{};
  std::size_t size_ = 0;
};

}  // namespace

void start_trace(const TraceConfig& config) noexcept {
  begun = Clock::now().time_since_epoch().count();
  as_json = config.json;
  trace_detail::wanted = config.kinds;
}

TraceLine::TraceLine(TraceKind kind, std::string_view what) noexcept {
  const double now = seconds_since_begun();
  append(as_json ? Digits(R"({{"time":{:.6f},"kind":"{}","what":"{}")", now, name_of(kind), what)
                 : Digits("[{:12.6f}] {:<10} {:<8}", now, name_of(kind), what));
}

TraceLine& TraceLine::number(std::string_view name, std::uint64_t number) noexcept {
  const Digits digits("{}", number);
  value(name, digits, digits);
  return *this;
}

TraceLine& TraceLine::address(std::string_view name, std::uint64_t address) noexcept {
  value(name, Digits("{:#x}", address), Digits("{}", address));
  return *this;
}

TraceLine& TraceLine::text(std::string_view name, std::string_view text) noexcept {
  const Quoted quoted(text);
  value(name, quoted.bare(), quoted);
  return *this;
}

void TraceLine::value(std::string_view name, std::string_view for_people, std::string_view in_json) noexcept {
  if (used_ + name.size() + std::max(for_people.size(), in_json.size()) + 4 + kRoomToEnd > line_.size()) return;
  append(as_json ? ",\"" : "  ");
  append(name);
  append(as_json ? "\":" : " ");
  append(as_json ? in_json : for_people);
}

void TraceLine::append(std::string_view piece) noexcept {
  std::copy(piece.begin(), piece.end(), line_.begin() + static_cast<std::ptrdiff_t>(used_));
  used_ += piece.size();
}

void TraceLine::put() noexcept {
  append(as_json ? "}\n" : "\n");
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, line_.data(), used_);
}

}  // namespace tintype
