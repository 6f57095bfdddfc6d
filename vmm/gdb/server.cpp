// SPDX-License-Identifier: Apache-2.0
#include "vmm/gdb/server.h"

#include <poll.h>
#include <unistd.h>

#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <optional>

#include <netinet/in.h>

#include "vmm/base/error.h"
#include "vmm/gdb/packet.h"

namespace tintype {
namespace {

std::uint16_t parse_port(const std::string& text) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error == std::errc() && end == text.data() + text.size() && !text.empty()) return port;
  throw UsageError("--listen cannot be \"{}\": give a port, or unix:PATH", text);
}

UniqueFd listen_on(int family, const sockaddr* address, socklen_t length, const std::string& text) {
  UniqueFd fd(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  if (fd && family == AF_INET) ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (!fd || ::bind(fd.get(), address, length) != 0 || ::listen(fd.get(), 4) != 0)
    throw Error("cannot listen on {}: {}; choose another", text, errno_text(errno));
  return fd;
}

/// One gdb that has connected.
class Connection {
 public:
  Connection(UniqueFd fd, const DebugSubject& subject) : fd_(std::move(fd)), session_(subject) {}
  int fd() const noexcept { return fd_.get(); }

  /// False where gdb has gone, or is done.
  bool receive() {
    std::array<char, 4096> buffer;
    const auto got = ::recv(fd_.get(), buffer.data(), buffer.size(), 0);
    if (got < 0 && errno == EINTR) return true;
    if (got <= 0) return false;
    reader_.add({buffer.data(), static_cast<std::size_t>(got)});
    while (!reader_.empty() && !session_.over())
      if (!take(reader_.next())) return false;
    return !session_.over();
  }

 private:
  bool take(const GdbInput& input) {
    if (input.kind == GdbInput::Kind::kInterrupt) return true;  // it stands still as it is
    if (input.kind == GdbInput::Kind::kAgain) return send(last_);
    if (!session_.without_acknowledgement() && !send(input.sound ? "+" : "-")) return false;
    if (!input.sound) return true;
    const auto answer = session_.answer(input.data);
    if (!answer) return true;
    last_ = as_packet(*answer);
    return send(last_);
  }

  bool send(std::string_view text) const {
    while (!text.empty()) {
      const auto sent = ::send(fd_.get(), text.data(), text.size(), MSG_NOSIGNAL);
      if (sent < 0 && errno != EINTR) return false;
      if (sent > 0) text.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }

  UniqueFd fd_;
  GdbSession session_;
  PacketReader reader_;
  std::string last_;
};

}  // namespace

GdbServer::GdbServer(const std::string& address) {
  if (address.starts_with("unix:")) {
    sockaddr_un place{};
    place.sun_family = AF_UNIX;
    const std::string path = address.substr(5);
    if (path.empty() || path.size() >= sizeof place.sun_path)
      throw UsageError("--listen \"{}\": the path of a socket has from 1 to {} bytes", address,
                       sizeof place.sun_path - 1);
    std::memcpy(place.sun_path, path.data(), path.size());
    listener_ = listen_on(AF_UNIX, reinterpret_cast<const sockaddr*>(&place), sizeof place, address);
    path_ = address_ = path;
    return;
  }
  const auto colon = address.rfind(':');
  const std::string host = colon == address.npos ? "" : address.substr(0, colon);
  if (!host.empty() && host != "127.0.0.1" && host != "localhost")
    throw UsageError(
        "--listen \"{}\": only this computer itself is listened to, for whoever gets in reads all of the guest's "
        "memory: "
        "give a port, and reach it from elsewhere by ssh -L",
        address);
  listen_on_port(address.substr(colon == address.npos ? 0 : colon + 1));
}

void GdbServer::listen_on_port(const std::string& port) {
  sockaddr_in place{};
  place.sin_family = AF_INET;
  place.sin_port = htons(parse_port(port));
  place.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  listener_ = listen_on(AF_INET, reinterpret_cast<const sockaddr*>(&place), sizeof place, "port " + port);
  socklen_t length = sizeof place;
  ::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&place), &length);
  address_ = fmt::format("127.0.0.1:{}", ntohs(place.sin_port));
}

GdbServer::~GdbServer() {
  if (!path_.empty()) ::unlink(path_.c_str());
}

void GdbServer::serve(const DebugSubject& subject) {
  std::optional<Connection> gdb;
  for (;;) {
    std::array<pollfd, 2> fds{{{listener_.get(), POLLIN, 0}, {gdb ? gdb->fd() : -1, POLLIN, 0}}};
    if (::poll(fds.data(), fds.size(), -1) < 0 && errno != EINTR) throw_errno("wait for gdb");
    if (gdb && fds[1].revents != 0 && !gdb->receive()) return;
    if (fds[0].revents == 0) continue;
    UniqueFd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (fd && !gdb) gdb.emplace(std::move(fd), subject);  // a second one is turned away
  }
}

}  // namespace tintype
