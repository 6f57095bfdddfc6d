// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "vmm/base/unique_fd.h"

namespace tintype {

/// HOST:PORT; a host with colons in brackets. Throws UsageError that names `what`.
struct TcpAddress {
  std::string host, port;
};
TcpAddress parse_tcp_address(const std::string& text, const std::string& what);

/// Throws tintype::Error.
UniqueFd listen_at(const TcpAddress& address);
/// The port that a socket listens at: of one that was asked to take any.
std::uint16_t port_of(int listener);
/// Gives up when the time is over. Throws tintype::Error.
UniqueFd connect_to(const TcpAddress& address, std::chrono::milliseconds patience);
/// The next who comes; nothing where nobody does in that time, or the one that came has left.
UniqueFd accept_one(int listener, std::chrono::milliseconds patience);

}  // namespace tintype
