// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace tintype {

/// While it lives, the terminal hands over each key as it is typed, Ctrl-C and the like included, and echoes
/// none.
///
/// The terminal is put back however the program ends: by this destructor, by exit(), by abort() (an exception
/// that nobody catches, a check that fails) and by every signal that kills by default, except SIGKILL, after
/// which `stty sane` helps. Signals that somebody handles or blocks are left to them. For that there has to
/// be one saved terminal per process: making a second object while one lives is a bug.
class RawTerminal {
 public:
  /// Throws std::system_error where `fd` is no terminal.
  explicit RawTerminal(int fd);
  ~RawTerminal();
  RawTerminal(const RawTerminal&) = delete;
  RawTerminal& operator=(const RawTerminal&) = delete;

  /// True where `fd` is a terminal and we are the program at work on it (not started with `&`): only then may
  /// we change it.
  static bool is_ours(int fd) noexcept;
};

}  // namespace tintype
