// SPDX-License-Identifier: Apache-2.0
#include "vmm/gdb/listener.h"

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
#include "vmm/gdb/connection.h"

namespace tintype {
namespace {

std::uint16_t parse_port(const std::string& text, std::string_view option) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error == std::errc() && end == text.data() + text.size() && !text.empty()) return port;
  throw UsageError("{} cannot be \"{}\": give a port, or unix:PATH", option, text);
}

UniqueFd listen_on(int family, const sockaddr* address, socklen_t length, const std::string& text) {
  UniqueFd fd(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  if (fd && family == AF_INET) ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (!fd || ::bind(fd.get(), address, length) != 0 || ::listen(fd.get(), 4) != 0)
    throw Error("cannot listen on {}: {}; choose another", text, errno_text(errno));
  return fd;
}

}  // namespace

GdbListener::GdbListener(const std::string& address, std::string_view option) {
  if (address.starts_with("unix:") || address.find('/') != address.npos) {
    sockaddr_un place{};
    place.sun_family = AF_UNIX;
    const std::string path = address.starts_with("unix:") ? address.substr(5) : address;
    if (path.empty() || path.size() >= sizeof place.sun_path)
      throw UsageError("{} \"{}\": the path of a socket has from 1 to {} bytes", option, address,
                       sizeof place.sun_path - 1);
    std::memcpy(place.sun_path, path.data(), path.size());
    fd_ = listen_on(AF_UNIX, reinterpret_cast<const sockaddr*>(&place), sizeof place, address);
    path_ = address_ = path;
    return;
  }
  const auto colon = address.rfind(':');
  const std::string host = colon == address.npos ? "" : address.substr(0, colon);
  if (!host.empty() && host != "127.0.0.1" && host != "localhost")
    throw UsageError(
        "{} \"{}\": only this computer itself is listened to, for whoever gets in reads all of the guest's memory: "
        "give a port, and reach it from elsewhere by ssh -L",
        option, address);
  listen_on_port(address.substr(colon == address.npos ? 0 : colon + 1), option);
}

void GdbListener::listen_on_port(const std::string& port, std::string_view option) {
  sockaddr_in place{};
  place.sin_family = AF_INET;
  place.sin_port = htons(parse_port(port, option));
  place.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  fd_ = listen_on(AF_INET, reinterpret_cast<const sockaddr*>(&place), sizeof place, "port " + port);
  socklen_t length = sizeof place;
  ::getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&place), &length);
  address_ = fmt::format("127.0.0.1:{}", ntohs(place.sin_port));
}

GdbListener::~GdbListener() {
  if (!path_.empty()) ::unlink(path_.c_str());
}

UniqueFd GdbListener::accept() const { return UniqueFd(::accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC)); }

void serve_at_rest(const GdbListener& listener, DebugSubject& subject) {
  std::optional<GdbConnection> gdb;
  for (;;) {
    std::array<pollfd, 2> fds{{{listener.fd(), POLLIN, 0}, {gdb ? gdb->fd() : -1, POLLIN, 0}}};
    if (::poll(fds.data(), fds.size(), -1) < 0 && errno != EINTR) throw_errno("wait for gdb");
    if (gdb && fds[1].revents != 0 && !gdb->receive()) return;
    if (fds[0].revents == 0) continue;
    UniqueFd fd = listener.accept();
    if (fd && !gdb) gdb.emplace(std::move(fd), subject);  // a second one is turned away
  }
}

}  // namespace tintype
