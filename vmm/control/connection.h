// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "vmm/base/unique_fd.h"
#include "vmm/control/feed.h"

namespace tintype {

/// How much one client may ask of the server.
struct ConnectionLimits {
  std::size_t line_bytes = 64 << 10;     ///< of one message, newline included
  std::size_t output_bytes = 256 << 10;  ///< not yet read by the client; beyond it no more of its lines are taken
  std::size_t calls = 16;                ///< in flight; beyond it no more of its lines are taken
  std::size_t feeds = 16;                ///< that it follows
};

/// One client of the control socket: lines in, lines out. The server's thread moves the bytes; threads that carry out
/// calls only post lines. A worker may outlive the client: what it posts then goes nowhere.
class Connection {
 public:
  Connection(UniqueFd socket, const ConnectionLimits& limits);
  ~Connection();

  // Any thread.
  /// Queues a reply.
  void post(std::string_view line);
  /// Queues a line that may be lost: it is, where the client reads slowly.
  void post_if_room(std::string_view line);
  /// A call has been answered (or was a notification, and is done).
  void call_finished();
  /// This client follows it from now on, after this reply; `id` is the call's. RpcError where it follows too much.
  void follow(std::unique_ptr<Feed> feed, nlohmann::json id, std::string_view reply);

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
  /// Takes from its feeds what there is, as long as there is room for it. Returns when to look again, though no bell
  /// rings.
  std::optional<Feed::Clock::time_point> pump_feeds();

 private:
  struct Followed;
  bool has_room() const;

  bool may_take_more() const;

  const UniqueFd socket_;
  const ConnectionLimits limits_;
  std::string input_;            ///< server's thread
  std::size_t input_taken_ = 0;  ///< bytes of input_ that next_line() has handed out; server's thread
  bool input_ended_ = false;     ///< server's thread
  bool broken_ = false;          ///< server's thread

  mutable std::mutex mutex_;
  std::string output_;                                ///< under mutex_
  std::size_t calls_ = 0;                             ///< in flight; under mutex_
  std::size_t feeds_begun_ = 0;                       ///< under mutex_
  std::vector<std::unique_ptr<Followed>> new_feeds_;  ///< under mutex_
  std::vector<std::unique_ptr<Followed>> feeds_;      ///< server's thread
};

}  // namespace tintype
