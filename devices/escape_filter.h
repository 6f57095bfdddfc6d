// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace tintype {

/// Finds the commands among the keys that a person types at the guest: Ctrl-A and one more key.
class EscapeFilter {
 public:
  enum class Action : std::uint8_t {
    kPass,     ///< the key is for the guest
    kSwallow,  ///< part of a command, or of one that does not exist
    kLeave,    ///< Ctrl-A x
    kHelp,     ///< Ctrl-A h
  };
  static constexpr std::uint8_t kEscape = 0x01;  ///< Ctrl-A; typed twice, the guest gets one

  Action feed(std::uint8_t key) noexcept {
    const bool is_command = escaped_;
    escaped_ = !is_command && key == kEscape;
    if (escaped_) return Action::kSwallow;
    if (!is_command || key == kEscape) return Action::kPass;
    switch (key) {
      case 'x':
        return Action::kLeave;
      case 'h':
        return Action::kHelp;
      default:
        return Action::kSwallow;
    }
  }

 private:
  bool escaped_ = false;
};

}  // namespace tintype
