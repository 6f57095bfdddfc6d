// SPDX-License-Identifier: Apache-2.0
#include "vmm/control/server.h"

#include <poll.h>

#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include <nlohmann/json.hpp>

#include "vmm/base/event_fd.h"
#include "vmm/base/thread.h"
#include "vmm/control/rpc.h"
#include "vmm/control/status_json.h"
#include "vmm/control/unix_socket.h"
#include "vmm/control/worker_pool.h"

namespace tintype {

using nlohmann::json;
using Clock = std::chrono::steady_clock;

class ControlServer::Impl {
 public:
  Impl(const std::filesystem::path& socket_path, ControlService& service, const ControlLimits& limits)
      : service_(service),
        limits_(limits),
        listener_(listen_on_unix_socket(socket_path)),
        workers_(limits.workers, limits.waiting_calls) {
    service_.hang_bell(&wake_);
    thread_ = std::thread([this] { run(); });
  }
  ~Impl() { stop(); }

  void stop();

 private:
  using Client = std::shared_ptr<Connection>;

  // The server's thread.
  void run();
  int fill_poll_entries();
  void pump_feeds();
  void serve_events();
  void accept_clients();
  void greet(UniqueFd socket);
  void serve(const Client& client, short events);
  void take_lines(const Client& client);
  void take_line(const Client& client, std::string_view line);
  void start_call(const Client& client, RpcRequest request);
  bool said_all() const;

  // A worker.
  void carry_out(const Client& client, const RpcRequest& request) noexcept;
  /// Where the call begins something to follow, and that was granted: true.
  bool begin_feed(const Client& client, const RpcRequest& request);
  std::string reply_to(const Client& client, const RpcRequest& request);
  ProgressSink progress_sink(const Client& client, const RpcRequest& request);

  ControlService& service_;
  const ControlLimits limits_;
  UniqueFd listener_;
  EventFd wake_;  ///< output was posted, or the server is to stop
  std::atomic<bool> accepts_calls_ = true;
  std::atomic<bool> ending_ = false;  ///< all calls are finished: send what is left and leave
  std::vector<Client> clients_;       ///< server's thread
  std::vector<pollfd> poll_entries_;  ///< bell, listener, then the clients in their order
  std::optional<Clock::time_point> feeds_due_;
  Clock::time_point accept_again_{};  ///< the host was out of descriptors: do not try before
  WorkerPool workers_;
  std::thread thread_;  ///< last: it uses all of the above
};

namespace {

constexpr auto kFarewell = std::chrono::seconds(1);
constexpr auto kAcceptPause = std::chrono::milliseconds(100);

std::string busy_line(const json& id, const std::string& why) { return rpc_error_line(id, rpc_code::kBusy, why); }

}  // namespace

void ControlServer::Impl::stop() {
  if (!thread_.joinable()) return;
  accepts_calls_ = false;
  workers_.finish();
  service_.hang_bell(nullptr);
  ending_ = true;
  wake_.signal();
  thread_.join();
  clients_.clear();
  listener_.reset();
}

void ControlServer::Impl::run() {
  name_this_thread("control");
  block_signals_in_this_thread();
  std::optional<Clock::time_point> leave_at;
  for (;;) {
    if (ending_ && !leave_at) leave_at = Clock::now() + kFarewell;
    pump_feeds();
    if (leave_at && (said_all() || Clock::now() >= *leave_at)) return;
    const int timeout_ms = fill_poll_entries();
    if (::poll(poll_entries_.data(), poll_entries_.size(), leave_at ? 20 : timeout_ms) > 0) serve_events();
    std::erase_if(clients_, [](const Client& client) { return client->finished(); });
  }
}

int ControlServer::Impl::fill_poll_entries() {
  const bool listens = accepts_calls_ && Clock::now() >= accept_again_;
  poll_entries_.clear();
  poll_entries_.push_back({wake_.fd(), POLLIN, 0});
  poll_entries_.push_back({listener_.get(), static_cast<short>(listens ? POLLIN : 0), 0});
  for (const Client& client : clients_) {
    const short wanted = client->wanted_events();
    poll_entries_.push_back({client->fd(), static_cast<short>(accepts_calls_ ? wanted : wanted & POLLOUT), 0});
  }
  const auto patience = listens ? std::chrono::milliseconds(1000) : kAcceptPause;
  if (!feeds_due_) return static_cast<int>(patience.count());
  const auto wait = std::chrono::ceil<std::chrono::milliseconds>(*feeds_due_ - Clock::now());
  return static_cast<int>(std::clamp(wait, std::chrono::milliseconds(0), patience).count());
}

void ControlServer::Impl::pump_feeds() {
  feeds_due_.reset();
  for (const Client& client : clients_) {
    if (const auto due = client->pump_feeds()) feeds_due_ = feeds_due_ ? std::min(*feeds_due_, *due) : *due;
    if (client->has_output()) client->write_some();
  }
}

void ControlServer::Impl::serve_events() {
  const std::vector<Client> polled = clients_;
  wake_.take();
  for (std::size_t i = 0; i < polled.size(); ++i) serve(polled[i], poll_entries_[i + 2].revents);
  if (poll_entries_[1].revents != 0) accept_clients();
}

void ControlServer::Impl::accept_clients() {
  for (;;) {
    UniqueFd socket(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (socket) {
      greet(std::move(socket));
    } else if (errno == EAGAIN) {
      return;
    } else if (errno != EINTR && errno != ECONNABORTED) {
      accept_again_ = Clock::now() + kAcceptPause;
      return;
    }
  }
}

void ControlServer::Impl::greet(UniqueFd socket) {
  const auto client = std::make_shared<Connection>(std::move(socket), limits_.connection);
  if (clients_.size() >= limits_.clients) {
    client->post(busy_line(nullptr, "the machine serves as many clients as it can: try again later"));
    client->write_some();
    return;
  }
  clients_.push_back(client);
}

void ControlServer::Impl::serve(const Client& client, short events) {
  if ((events & (POLLHUP | POLLERR)) != 0)
    client->give_up();  // both directions are closed: nobody is there to read a reply
  if ((events & POLLIN) != 0) client->read_some();
  if (accepts_calls_) take_lines(client);
  if (client->has_output()) client->write_some();
}

void ControlServer::Impl::take_lines(const Client& client) {
  while (const auto line = client->next_line()) take_line(client, *line);
  if (!client->line_too_long()) return;
  const std::string why = fmt::format("a line must be shorter than {} bytes", limits_.connection.line_bytes);
  client->post(rpc_error_line(nullptr, rpc_code::kInvalidRequest, why));
  client->end_input();
}

void ControlServer::Impl::take_line(const Client& client, std::string_view line) {
  if (line.find_first_not_of(" \t\r") == std::string_view::npos) return;
  RpcRequest request;
  try {
    parse_rpc_request(line, request);
  } catch (const RpcError& refusal) {
    client->post(rpc_error_line(request.id.value_or(json()), refusal.code(), refusal.what()));
    return;
  }
  start_call(client, std::move(request));
}

void ControlServer::Impl::start_call(const Client& client, RpcRequest request) {
  const json id = request.id.value_or(json());
  const bool wants_reply = request.id.has_value();
  client->call_started();
  if (workers_.submit([this, client, request = std::move(request)] { carry_out(client, request); })) return;
  client->call_finished();
  if (wants_reply) client->post(busy_line(id, "the machine has too much to do at once: try again later"));
}

bool ControlServer::Impl::said_all() const {
  return !feeds_due_ &&
         std::none_of(clients_.begin(), clients_.end(), [](const Client& client) { return client->has_output(); });
}

void ControlServer::Impl::carry_out(const Client& client, const RpcRequest& request) noexcept {
  const std::string reply = reply_to(client, request);
  if (request.id && !reply.empty()) client->post(reply);
  client->call_finished();
  wake_.signal();
}

std::string ControlServer::Impl::reply_to(const Client& client, const RpcRequest& request) {
  const json id = request.id.value_or(json());
  try {
    if (begin_feed(client, request)) return "";
    return rpc_result_line(id, service_.call(request.method, request.params, progress_sink(client, request)));
  } catch (const RpcError& failure) {
    return rpc_error_line(id, failure.code(), failure.what());
  } catch (const UsageError& failure) {
    return rpc_error_line(id, rpc_code::kInvalidParams, failure.what());
  } catch (const std::exception& failure) {
    return rpc_error_line(id, rpc_code::kFailed, failure.what());
  }
}

bool ControlServer::Impl::begin_feed(const Client& client, const RpcRequest& request) {
  auto feed = request.id ? service_.follow(request.method, request.params) : nullptr;
  if (!feed) return false;
  client->follow(std::move(feed), *request.id, rpc_result_line(*request.id, {{"follows", true}}));
  return true;
}

ProgressSink ControlServer::Impl::progress_sink(const Client& client, const RpcRequest& request) {
  if (!request.id) return {};
  return [this, client, id = *request.id](const Progress& progress) {
    json params = progress_to_json(progress);
    params["id"] = id;
    client->post_if_room(rpc_notification_line("progress", params));
    wake_.signal();
  };
}

ControlServer::ControlServer(const std::filesystem::path& socket_path, ControlService& service,
                             const ControlLimits& limits)
    : impl_(std::make_unique<Impl>(socket_path, service, limits)) {}

ControlServer::~ControlServer() = default;

void ControlServer::stop() { impl_->stop(); }

}  // namespace tintype
