// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <poll.h>

#include <sys/socket.h>

#include <filesystem>
#include <string>

#include <nlohmann/json.hpp>

#include "vmm/base/unique_fd.h"
#include "vmm/control/unix_socket.h"

namespace tintype {

/// A client that says whatever the test wants, JSON or not.
class RawClient {
 public:
  explicit RawClient(const std::filesystem::path& socket) : socket_(connect_to_unix_socket(socket)) {}

  bool connected() const { return static_cast<bool>(socket_); }
  int fd() const { return socket_.get(); }

  /// False where the other side has hung up.
  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      const auto count = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (count <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(count));
    }
    return true;
  }
  void end_sending() { ::shutdown(socket_.get(), SHUT_WR); }
  void hang_up() { socket_.reset(); }

  /// The next line as JSON; null where none comes within the time, or the server has hung up.
  nlohmann::json receive(int timeout_ms = 5000) {
    for (;;) {
      if (const auto end = input_.find('\n'); end != std::string::npos) {
        auto message = nlohmann::json::parse(input_.substr(0, end), nullptr, false);
        input_.erase(0, end + 1);
        return message;
      }
      if (!receive_some(timeout_ms)) return nullptr;
    }
  }

  nlohmann::json ask(const std::string& line, int timeout_ms = 5000) {
    send(line + "\n");
    return receive(timeout_ms);
  }
  nlohmann::json call(const std::string& method, int id = 1, const std::string& params = "{}") {
    return ask(R"({"jsonrpc":"2.0","id":)" + std::to_string(id) + R"(,"method":")" + method + R"(","params":)" +
               params + "}");
  }

  /// True where the server hangs up within the time.
  bool hung_up(int timeout_ms = 5000) {
    while (receive_some(timeout_ms)) input_.clear();
    return ended_;
  }

 private:
  bool receive_some(int timeout_ms) {
    pollfd entry{socket_.get(), POLLIN, 0};
    if (::poll(&entry, 1, timeout_ms) <= 0) return false;
    char buffer[4096];
    const auto count = ::recv(socket_.get(), buffer, sizeof buffer, 0);
    if (count <= 0) ended_ = true;
    if (count > 0) input_.append(buffer, static_cast<std::size_t>(count));
    return count > 0;
  }

  UniqueFd socket_;
  std::string input_;
  bool ended_ = false;
};

}  // namespace tintype
