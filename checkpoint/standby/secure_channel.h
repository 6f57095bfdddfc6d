// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "vmm/base/unique_fd.h"

namespace tintype {

enum class ChannelEnd { kClient, kServer };

/// Bytes and lines between two computers that share a key: TLS 1.3 with that key and a fresh Diffie-Hellman exchange
/// (GnuTLS), without certificates. Nobody else can read them, change, repeat or leave out any without its end. One
/// thread at a time; but anyone may shut_down(). Everything throws tintype::Error.
class SecureChannel {
 public:
  /// Shakes hands: fails where the other side has another key, or is not done with it within the patience, however
  /// often it says something. The socket does not block.
  SecureChannel(UniqueFd socket, ChannelEnd end, std::span<const std::byte> key, std::chrono::milliseconds patience);
  ~SecureChannel();
  SecureChannel(const SecureChannel&) = delete;
  SecureChannel& operator=(const SecureChannel&) = delete;

  /// How long the other side may take none, and send none.
  void set_patience(std::chrono::milliseconds patience) noexcept { patience_ = patience; }
  void send(std::span<const std::byte> bytes);
  /// At most that many, at least one; 0 where the other side has ended, in order.
  std::size_t receive(std::span<std::byte> into);
  /// True where something is there to be received.
  bool has_something(std::chrono::milliseconds patience);

  void send_line(std::string_view line);
  /// Without its newline. What is longer than any that we send is an error.
  std::string receive_line();

  /// Whoever waits here gets an error. Any thread.
  void shut_down() noexcept;

 private:
  struct Session;
  void flush();
  bool is_ready(bool to_write, std::chrono::milliseconds patience) const;
  void wait_for(bool to_write) const;

  UniqueFd socket_;
  std::chrono::milliseconds patience_;
  std::unique_ptr<Session> session_;
};

}  // namespace tintype
