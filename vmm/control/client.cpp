// SPDX-License-Identifier: Apache-2.0
#include "vmm/control/client.h"

#include <poll.h>

#include <sys/socket.h>

#include <nlohmann/json.hpp>

#include "vmm/base/error.h"
#include "vmm/control/rpc.h"
#include "vmm/control/runtime_directory.h"
#include "vmm/control/status_json.h"
#include "vmm/control/unix_socket.h"

namespace tintype {

using nlohmann::json;

namespace {

/// More than any answer: a machine that sends it is not one of ours.
constexpr std::size_t kMostInput = 16 << 20;

[[noreturn]] void throw_no_such_machine(const std::filesystem::path& directory, const std::string& name) {
  if (const auto holder = directory_of_machine(name); holder == directory) {
    throw Error(
        "the machine {} (process {}) has no control socket: it is starting; or {} was removed, and only a signal to "
        "its process can end it",
        name, pid_of_name_holder(directory, name), control_socket_path(directory, name).string());
  }
  throw Error("no machine named {} is running in {}: `tintype list` shows those that are", name, directory.string());
}

[[noreturn]] void throw_reply(const json& error) {
  const std::string text = error.value("message", "the machine refused without saying why");
  if (error.value("code", 0) == rpc_code::kInvalidParams) throw UsageError(text);
  throw Error(text);
}

}  // namespace

ControlClient::ControlClient(const std::filesystem::path& directory, const std::string& name) : name_(name) {
  check_machine_name(name);
  socket_ = connect_to_unix_socket(control_socket_path(directory, name));
  if (socket_) return;
  if (errno == ENOENT || errno == ECONNREFUSED) throw_no_such_machine(directory, name);
  throw Error("cannot reach the machine {} ({}): is it another user's?", name, errno_text(errno));
}

json ControlClient::call(const std::string& method, const json& params, std::chrono::milliseconds patience,
                         const ProgressSink& progress) {
  const std::uint64_t id = ++last_id_;
  send_line(rpc_call_line(method, params, id));
  for (;;) {
    const json message = json::parse(receive_line(patience), nullptr, false);
    if (!message.is_object())
      throw Error("the machine {} answers in a language that is not ours: is it another version of Tintype?", name_);
    if (message.value("method", "") == "progress" && message.contains("params")) {
      if (progress) progress(progress_from_json(message["params"]));
    } else if (message.contains("error")) {
      throw_reply(message["error"]);
    } else if (message.contains("result") && message.value("id", std::uint64_t{0}) == id) {
      return message["result"];
    }
  }
}

namespace {

constexpr auto kFollowAnswer = std::chrono::seconds(30);

}  // namespace

void ControlClient::follow(const std::string& method, const json& params) { call(method, params, kFollowAnswer); }

std::optional<json> ControlClient::next(std::chrono::milliseconds patience) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  for (;;) {
    while (const auto line = take_line()) {
      const json message = json::parse(*line, nullptr, false);
      if (message.is_object() && message.contains("method") && message.contains("params")) return message["params"];
    }
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    if (ended_ || !receive_some(std::max(left, std::chrono::milliseconds(0)))) return std::nullopt;
    if (input_.size() > kMostInput) throw Error("the machine {} sends a line without end", name_);
  }
}

std::optional<std::string> ControlClient::take_line() {
  const auto end = input_.find('\n');
  if (end == std::string::npos) return std::nullopt;
  std::string line = input_.substr(0, end);
  input_.erase(0, end + 1);
  return line;
}

int ControlClient::process() const noexcept {
  ucred credentials{};
  socklen_t size = sizeof credentials;
  return ::getsockopt(socket_.get(), SOL_SOCKET, SO_PEERCRED, &credentials, &size) == 0 ? credentials.pid : 0;
}

bool ControlClient::wait_for_end(std::chrono::milliseconds patience) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  while (!ended_) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0 || !receive_some(left)) return false;
    input_.clear();
  }
  return true;
}

void ControlClient::send_line(const std::string& line) {
  std::size_t sent = 0;
  while (sent < line.size()) {
    const auto count = ::send(socket_.get(), line.data() + sent, line.size() - sent, MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw Error("the machine {} has ended before it could be asked", name_);
    sent += static_cast<std::size_t>(count);
  }
}

std::string ControlClient::receive_line(std::chrono::milliseconds patience) {
  for (;;) {
    if (auto line = take_line()) return *std::move(line);
    if (!receive_some(patience)) {
      throw MachineSilent(
          "the machine {} (process {}) has been silent for {} seconds: `tintype stop {} --force` ends it", name_,
          process(), std::chrono::duration_cast<std::chrono::seconds>(patience).count(), name_);
    }
    if (ended_) throw Error("the machine {} ended before it answered", name_);
    if (input_.size() > kMostInput) throw Error("the machine {} sends an answer without end", name_);
  }
}

bool ControlClient::receive_some(std::chrono::milliseconds patience) {
  pollfd entry{socket_.get(), POLLIN, 0};
  int ready = 0;
  do ready = ::poll(&entry, 1, static_cast<int>(patience.count()));
  while (ready < 0 && errno == EINTR);
  if (ready <= 0) return false;
  char buffer[16384];
  const auto count = ::recv(socket_.get(), buffer, sizeof buffer, 0);
  if (count > 0) input_.append(buffer, static_cast<std::size_t>(count));
  if (count == 0 || (count < 0 && errno != EINTR && errno != EAGAIN)) ended_ = true;
  return true;
}

}  // namespace tintype
