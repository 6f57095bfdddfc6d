// SPDX-License-Identifier: Apache-2.0
#include "vmm/gdb/connection.h"

#include <poll.h>

#include <sys/socket.h>
#include <sys/time.h>

#include <array>
#include <cerrno>
#include <chrono>

namespace tintype {

// A gdb that has stopped reading must not keep the machine.
GdbConnection::GdbConnection(UniqueFd fd, DebugSubject& subject) : fd_(std::move(fd)), session_(subject) {
  const timeval patience{5, 0};
  ::setsockopt(fd_.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
}

bool GdbConnection::receive() {
  std::array<char, 4096> buffer;
  const auto got = ::recv(fd_.get(), buffer.data(), buffer.size(), 0);
  if (got < 0 && errno == EINTR) return true;
  if (got <= 0) return false;
  reader_.add({buffer.data(), static_cast<std::size_t>(got)});
  while (!reader_.empty() && !session_.over())
    if (!take(reader_.next())) return false;
  return !session_.over();
}

bool GdbConnection::take(const GdbInput& input) {
  if (input.kind == GdbInput::Kind::kInterrupt) {
    session_.interrupt();
    return true;
  }
  // gdb says `-` also where it has waited long for an answer: that one it gets, and once, since nothing is lost here.
  if (input.kind == GdbInput::Kind::kAgain) return session_.without_acknowledgement() || send(last_);
  if (!session_.without_acknowledgement() && !send(input.sound ? "+" : "-")) return false;
  if (!input.sound) return true;
  const auto data = session_.answer(input.data);
  return !data || answer(*data);
}

bool GdbConnection::tell(const DebugStop& stop) {
  const auto data = session_.stopped(stop);
  return !data || answer(*data);
}

void GdbConnection::wait_until_gone() noexcept {
  const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(1);
  ::shutdown(fd_.get(), SHUT_WR);
  std::array<char, 4096> buffer;
  pollfd wait{fd_.get(), POLLIN, 0};
  while (std::chrono::steady_clock::now() < limit) {
    if (::poll(&wait, 1, 100) > 0 && ::recv(fd_.get(), buffer.data(), buffer.size(), 0) <= 0) return;
  }
}

bool GdbConnection::answer(const std::string& data) {
  last_ = as_packet(data);
  return send(last_);
}

bool GdbConnection::send(std::string_view text) const {
  while (!text.empty()) {
    const auto sent = ::send(fd_.get(), text.data(), text.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno != EINTR) return false;
    if (sent > 0) text.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

}  // namespace tintype
