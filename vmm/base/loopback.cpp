// SPDX-License-Identifier: Apache-2.0
#include "vmm/base/loopback.h"

#include <sys/socket.h>

#include <cerrno>
#include <charconv>

#include <netinet/in.h>

#include "vmm/base/error.h"

namespace tintype {

namespace {

constexpr int kWaiting = 16;

std::uint16_t parse_port(std::string_view text, std::string_view option) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error == std::errc() && end == text.data() + text.size() && !text.empty()) return port;
  throw UsageError("{} cannot be \"{}\": give a port", option, text);
}

}  // namespace

LoopbackPort listen_on_loopback(const std::string& address, std::string_view option, std::string_view who_gets_in) {
  const auto colon = address.rfind(':');
  const std::string host = colon == address.npos ? "" : address.substr(0, colon);
  if (!host.empty() && host != "127.0.0.1" && host != "localhost")
    throw UsageError(
        "{} \"{}\": only this computer itself is listened to, for whoever gets in {}: give a port, and reach it from "
        "elsewhere by ssh -L",
        option, address, who_gets_in);
  const std::string text = address.substr(colon == address.npos ? 0 : colon + 1);
  sockaddr_in place{};
  place.sin_family = AF_INET;
  place.sin_port = htons(parse_port(text, option));
  place.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  auto* const where = reinterpret_cast<sockaddr*>(&place);
  LoopbackPort port{UniqueFd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)), 0};
  const int on = 1;
  if (port.fd) ::setsockopt(port.fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (!port.fd || ::bind(port.fd.get(), where, sizeof place) != 0 || ::listen(port.fd.get(), kWaiting) != 0)
    throw Error("cannot listen on port {}: {}; choose another", text, errno_text(errno));
  socklen_t length = sizeof place;
  ::getsockname(port.fd.get(), where, &length);
  port.number = ntohs(place.sin_port);
  return port;
}

}  // namespace tintype
