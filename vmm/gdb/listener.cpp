// SPDX-License-Identifier: Apache-2.0
#include "vmm/gdb/listener.h"

#include <poll.h>
#include <unistd.h>

#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <optional>

#include "vmm/base/error.h"
#include "vmm/base/loopback.h"
#include "vmm/gdb/connection.h"

namespace tintype {
namespace {

constexpr std::size_t kMostPath = sizeof(sockaddr_un::sun_path);

UniqueFd listen_on_path(const std::string& path, const std::string& text) {
  sockaddr_un place{};
  place.sun_family = AF_UNIX;
  std::memcpy(place.sun_path, path.data(), path.size());
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd || ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&place), sizeof place) != 0 ||
      ::listen(fd.get(), 4) != 0)
    throw Error("cannot listen on {}: {}; choose another", text, errno_text(errno));
  return fd;
}

}  // namespace

GdbListener::GdbListener(const std::string& address, std::string_view option) {
  if (address.starts_with("unix:") || address.find('/') != address.npos) {
    const std::string path = address.starts_with("unix:") ? address.substr(5) : address;
    if (path.empty() || path.size() >= kMostPath)
      throw UsageError("{} \"{}\": the path of a socket has from 1 to {} bytes", option, address, kMostPath - 1);
    fd_ = listen_on_path(path, address);
    path_ = address_ = path;
    return;
  }
  LoopbackPort port = listen_on_loopback(address, option, "reads all of the guest's memory");
  fd_ = std::move(port.fd);
  address_ = fmt::format("127.0.0.1:{}", port.number);
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
