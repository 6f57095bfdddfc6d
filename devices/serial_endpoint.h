// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>

namespace tintype {

/// What is on the host at the far end of a serial cable: a terminal, a file, a socket. Used by the one thread
/// of a SerialConsole, which polls the descriptors, and none of it blocks. A descriptor may change with every
/// call; -1 means that there is nothing to wait for.
class SerialEndpoint {
 public:
  virtual ~SerialEndpoint() = default;

  /// The machine runs now. An endpoint that goes without it leaves nothing behind that was not there before.
  virtual void start() noexcept {}

  /// Readable: read() has something. -1 where there is no input, or no more.
  virtual int input_fd() const noexcept { return -1; }
  /// Writable: write() gets on. -1 where nobody is there; output is then kept.
  virtual int output_fd() const noexcept = 0;
  /// Readable: accept() has somebody.
  virtual int accept_fd() const noexcept { return -1; }
  virtual void accept() noexcept {}

  /// Input for the guest; 0 where there was none after all.
  virtual std::size_t read(std::span<std::uint8_t>) noexcept { return 0; }
  /// How many bytes, from the front, are done with: sent, or lost because the far end has failed for good. 0:
  /// wait for output_fd().
  virtual std::size_t write(std::span<const std::uint8_t> bytes) noexcept = 0;

  /// True: a far end that does not keep up loses the oldest output. False: it makes the guest wait.
  virtual bool may_lose_output() const noexcept { return false; }
  /// True: input is read even while the guest takes none, since keys may be commands to us.
  virtual bool reads_ahead() const noexcept { return false; }
};

enum class FileStart : std::uint8_t { kTruncate, kAppend };

/// Our own standard input and output. On a terminal, in raw mode, with Ctrl-A x to leave: `on_leave` is
/// called on the console's thread and only posts the wish. From a pipe or a file: its end just ends the
/// input.
std::unique_ptr<SerialEndpoint> make_stdio_endpoint(std::function<void()> on_leave);

/// Output only. A file that was made for it goes again where the machine never ran. Throws tintype::Error where the
/// file cannot be opened.
std::unique_ptr<SerialEndpoint> make_file_endpoint(const std::filesystem::path& path, FileStart start);

/// A listening Unix socket (mode 0600) with one client at a time; the next may come when it has gone. Throws
/// tintype::Error where the path is taken. A socket that a dead program left behind is replaced.
std::unique_ptr<SerialEndpoint> make_unix_endpoint(const std::filesystem::path& path);

}  // namespace tintype
