// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "vmm/base/unique_fd.h"

namespace tintype {

/// How much one client may ask of the server.
struct ConnectionLimits {
  std::size_t line_bytes = 64 << 10;     ///< of one message, newline included
  std::size_t output_bytes = 256 << 10;  ///< not yet read by the client; beyond it no more of its lines are taken
  std::size_t calls = 16;                ///< in flight; beyond it no more of its lines are taken
};

/// One client of the control socket: lines in, lines out. The server's thread moves the bytes; threads that carry out
/// calls only post lines. A worker may outlive the client: what it posts then goes nowhere.
class Connection {
 public:
  Connection(UniqueFd socket, const ConnectionLimits& limits) : socket_(std::move(socket)), limits_(limits) {}

  // Any thread.
  /// Queues a reply.
  void post(std::string_view line);
  /// Queues a line that may be lost: it is, where the client reads slowly.
  void post_if_room(std::string_view line);
  /// A call has been answered (or was a notification, and is done).
  void call_finished();

  // The server's thread.
  int fd() const noexcept { return socket_.get(); }
  /// Events that poll should look for.
  short wanted_events() const;
  /// Reads what there is, at most a buffer full, so that one client cannot keep the others waiting.
  void read_some();
  /// The next whole line, where there is one and the limits allow another call. The view holds until the next call of
  /// read_some().
  std::optional<std::string_view> next_line();
  bool line_too_long() const noexcept;
  void call_started();
  void write_some();
  /// Takes no more lines; what is queued is still sent.
  void end_input() noexcept;
  /// The client is gone: nothing can be sent any more.
  void give_up() noexcept { broken_ = true; }
  /// True where nothing remains to be done for this client.
  bool finished() const;
  bool has_output() const;

 private:
  bool may_take_more() const;

  const UniqueFd socket_;
  const ConnectionLimits limits_;
  std::string input_;            ///< server's thread
  std::size_t input_taken_ = 0;  ///< bytes of input_ that next_line() has handed out; server's thread
  bool input_ended_ = false;     ///< server's thread
  bool broken_ = false;          ///< server's thread

  mutable std::mutex mutex_;
  std::string output_;     ///< under mutex_
  std::size_t calls_ = 0;  ///< in flight; under mutex_
};

}  // namespace tintype
