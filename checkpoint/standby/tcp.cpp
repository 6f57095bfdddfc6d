// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/standby/tcp.h"

#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <unistd.h>

#include <sys/socket.h>

#include <memory>

#include <netinet/in.h>
#include <netinet/tcp.h>

#include "vmm/base/error.h"

namespace tintype {

namespace {

/// What has been sent and is not acknowledged for so long ends a connection.
constexpr int kSilenceMs = 10'000;
/// Who stands in it waits for his turn: a longer one would be longer than he waits.
constexpr int kQueue = 128;

using Addresses = std::unique_ptr<addrinfo, void (*)(addrinfo*)>;

Addresses resolve(const TcpAddress& address, int flags) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags;
  addrinfo* found = nullptr;
  const int failure = ::getaddrinfo(address.host.c_str(), address.port.c_str(), &hints, &found);
  if (failure != 0) throw Error("there is no address {}:{}: {}", address.host, address.port, ::gai_strerror(failure));
  return {found, ::freeaddrinfo};
}

void set_option(int fd, int level, int name, int value) { ::setsockopt(fd, level, name, &value, sizeof value); }

/// Small messages go at once, and a peer that is gone is noticed.
void tune(int fd) {
  set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, 2);
  set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, 2);
  set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, 4);
  set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, kSilenceMs);
}

bool is_ready(int fd, short events, std::chrono::milliseconds patience) {
  pollfd entry{fd, events, 0};
  return ::poll(&entry, 1, static_cast<int>(patience.count())) == 1;
}

/// 0, or why it is not connected.
int try_to_connect(int fd, const addrinfo& address, std::chrono::milliseconds patience) {
  if (::connect(fd, address.ai_addr, address.ai_addrlen) == 0) return 0;
  if (errno != EINPROGRESS) return errno;
  if (!is_ready(fd, POLLOUT, patience)) return ETIMEDOUT;
  int failure = 0;
  socklen_t size = sizeof failure;
  ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &failure, &size);
  return failure;
}

}  // namespace

TcpAddress parse_tcp_address(const std::string& text, const std::string& what) {
  const auto colon = text.rfind(':');
  if (colon == std::string::npos || colon + 1 == text.size() || colon == 0)
    throw UsageError("{} cannot be \"{}\": give HOST:PORT", what, text);
  std::string host = text.substr(0, colon);
  if (host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  const std::string port = text.substr(colon + 1);
  if (port.find_first_not_of("0123456789") == std::string::npos && (port.size() > 5 || std::stoul(port) > 65535))
    throw UsageError("{} cannot be \"{}\": a port is 65535 at most", what, text);
  return {host, port};
}

UniqueFd listen_at(const TcpAddress& address) {
  int failure = 0;
  const Addresses found = resolve(address, AI_PASSIVE);
  for (const addrinfo* each = found.get(); each != nullptr; each = each->ai_next) {
    UniqueFd fd(::socket(each->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd) continue;
    set_option(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1);
    if (::bind(fd.get(), each->ai_addr, each->ai_addrlen) == 0 && ::listen(fd.get(), kQueue) == 0) return fd;
    failure = errno;
  }
  throw Error("nobody can listen at {}:{}: {}", address.host, address.port, errno_text(failure));
}

std::uint16_t port_of(int listener) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size);
  return ntohs(address.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6&>(address).sin6_port
                                             : reinterpret_cast<sockaddr_in&>(address).sin_port);
}

UniqueFd connect_to(const TcpAddress& address, std::chrono::milliseconds patience) {
  int failure = EHOSTUNREACH;
  const Addresses found = resolve(address, 0);
  for (const addrinfo* each = found.get(); each != nullptr; each = each->ai_next) {
    UniqueFd fd(::socket(each->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd) continue;
    failure = try_to_connect(fd.get(), *each, patience);
    if (failure != 0) continue;
    tune(fd.get());
    return fd;
  }
  throw Error("{}:{} does not answer: {}", address.host, address.port, errno_text(failure));
}

UniqueFd accept_one(int listener, std::chrono::milliseconds patience) {
  if (!is_ready(listener, POLLIN, patience)) return {};
  UniqueFd fd(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (fd) tune(fd.get());
  return fd;
}

}  // namespace tintype
