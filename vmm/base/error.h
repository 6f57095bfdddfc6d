// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cerrno>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>

#include <fmt/format.h>

namespace tintype {

/// An error for the person at the keyboard: one sentence that says what is wrong and what to do about it.
/// The command line prints it on stderr as it stands; the control socket carries it as the error's message.
class Error : public std::runtime_error {
 public:
  explicit Error(const std::string& sentence) : std::runtime_error(sentence) {}

  template <typename... Args>
  explicit Error(fmt::format_string<Args...> text, Args&&... args) requires(sizeof...(Args) > 0)
      : std::runtime_error(fmt::format(text, std::forward<Args>(args)...)) {}
};

/// The call was used wrongly (exit status 2 on the command line).
class UsageError : public Error {
 public:
  using Error::Error;
};

/// Throws std::system_error for a failed system call. `what` names the call and its arguments.
[[noreturn]] void throw_errno_text(int error_number, const std::string& what);

template <typename... Args>
[[noreturn]] void throw_errno(fmt::format_string<Args...> what, Args&&... args) {
  const int saved = errno;  // formatting may change errno
  throw_errno_text(saved, fmt::format(what, std::forward<Args>(args)...));
}

/// "No space left on device" and the like, without the C library's thread-unsafe buffer.
std::string errno_text(int error_number);

/// Always-on check of our own logic, without side effects: prints where and what, then aborts.
/// (Builtins, because clang 14 cannot use libstdc++'s std::source_location.)
void check(bool holds, std::string_view what, const char* file = __builtin_FILE(),
           int line = __builtin_LINE()) noexcept;

}  // namespace tintype
