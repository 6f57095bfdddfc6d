// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <string_view>

#include "devices/escape_filter.h"
#include "devices/host_output.h"
#include "devices/raw_terminal.h"
#include "devices/serial_endpoint.h"

namespace tintype {
namespace {

constexpr std::string_view kHelp =
    "\nCtrl-A x       leave: ends the machine\n"
    "Ctrl-A Ctrl-A  sends Ctrl-A to the guest\n"
    "Ctrl-A h       shows this help\n";

class StdioEndpoint final : public SerialEndpoint {
 public:
  explicit StdioEndpoint(std::function<void()> on_leave) : on_leave_(std::move(on_leave)) {
    if (RawTerminal::is_ours(STDIN_FILENO)) {
      terminal_.emplace(STDIN_FILENO);
    } else if (!is_readable_input()) {
      input_fd_ = -1;
    }
  }

  int input_fd() const noexcept override { return input_fd_; }
  int output_fd() const noexcept override { return output_.fd(); }
  bool reads_ahead() const noexcept override { return terminal_.has_value(); }
  std::size_t read(std::span<std::uint8_t> into) noexcept override;
  std::size_t write(std::span<const std::uint8_t> bytes) noexcept override { return output_.write(bytes); }

 private:
  /// Not a closed descriptor, and not the terminal of a program in the background, which reading would stop.
  static bool is_readable_input() noexcept {
    struct stat info {};
    return ::fstat(STDIN_FILENO, &info) == 0 && ::isatty(STDIN_FILENO) != 1;
  }
  std::size_t obey_commands(std::span<std::uint8_t> keys) noexcept;

  std::function<void()> on_leave_;
  int input_fd_ = STDIN_FILENO;
  EscapeFilter filter_;
  HostOutput output_{STDOUT_FILENO, "standard output"};
  std::optional<RawTerminal> terminal_;  ///< only where standard input is our terminal
};

std::size_t StdioEndpoint::read(std::span<std::uint8_t> into) noexcept {
  const auto count = ::read(STDIN_FILENO, into.data(), into.size());
  if (count < 0 && (errno == EINTR || errno == EAGAIN)) return 0;
  if (count <= 0) {
    input_fd_ = -1;  // its end, or a terminal that has gone
    return 0;
  }
  const auto keys = into.first(static_cast<std::size_t>(count));
  return terminal_ ? obey_commands(keys) : keys.size();
}

/// Leaves in `keys` what is for the guest; returns how much that is.
std::size_t StdioEndpoint::obey_commands(std::span<std::uint8_t> keys) noexcept {
  std::size_t kept = 0;
  for (const std::uint8_t key : keys) {
    switch (filter_.feed(key)) {
      case EscapeFilter::Action::kPass:
        keys[kept++] = key;
        break;
      case EscapeFilter::Action::kSwallow:
        break;
      case EscapeFilter::Action::kLeave:
        on_leave_();
        break;
      case EscapeFilter::Action::kHelp:
        output_.write({reinterpret_cast<const std::uint8_t*>(kHelp.data()), kHelp.size()});
        break;
    }
  }
  return kept;
}

}  // namespace

std::unique_ptr<SerialEndpoint> make_stdio_endpoint(std::function<void()> on_leave) {
  return std::make_unique<StdioEndpoint>(std::move(on_leave));
}

}  // namespace tintype
