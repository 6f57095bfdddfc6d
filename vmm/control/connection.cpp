// SPDX-License-Identifier: Apache-2.0
#include "vmm/control/connection.h"

#include <poll.h>

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include <nlohmann/json.hpp>

#include "vmm/control/rpc.h"

namespace tintype {

struct Connection::Followed {
  std::unique_ptr<Feed> feed;
  nlohmann::json id;  ///< of the call that began it
};

Connection::Connection(UniqueFd socket, const ConnectionLimits& limits) : socket_(std::move(socket)), limits_(limits) {}

Connection::~Connection() = default;

void Connection::post(std::string_view line) {
  const std::lock_guard lock(mutex_);
  output_ += line;
}

void Connection::post_if_room(std::string_view line) {
  const std::lock_guard lock(mutex_);
  if (output_.size() + line.size() <= limits_.output_bytes / 2) output_ += line;
}

void Connection::call_started() {
  const std::lock_guard lock(mutex_);
  ++calls_;
}

void Connection::call_finished() {
  const std::lock_guard lock(mutex_);
  --calls_;
}

void Connection::follow(std::unique_ptr<Feed> feed, nlohmann::json id, std::string_view reply) {
  auto followed = std::make_unique<Followed>(Followed{std::move(feed), std::move(id)});
  const std::lock_guard lock(mutex_);
  if (feeds_begun_ == limits_.feeds)
    throw RpcError(rpc_code::kBusy, fmt::format("a connection can follow {} things: open another", limits_.feeds));
  ++feeds_begun_;
  output_ += reply;
  new_feeds_.push_back(std::move(followed));
}

std::optional<Feed::Clock::time_point> Connection::pump_feeds() {
  {
    const std::lock_guard lock(mutex_);
    std::move(new_feeds_.begin(), new_feeds_.end(), std::back_inserter(feeds_));
    new_feeds_.clear();
  }
  std::optional<Feed::Clock::time_point> again;
  for (const auto& followed : feeds_) {
    while (has_room()) {
      auto news = followed->feed->next();
      if (!news) break;
      (*news)["id"] = followed->id;
      post(rpc_notification_line(followed->feed->method(), *news));
    }
    const auto due = followed->feed->due();
    if (due && has_room()) again = again ? std::min(*again, *due) : *due;
  }
  return again;
}

bool Connection::has_room() const {
  const std::lock_guard lock(mutex_);
  return output_.size() <= limits_.output_bytes / 2;
}

bool Connection::may_take_more() const {
  const std::lock_guard lock(mutex_);
  return calls_ < limits_.calls && output_.size() < limits_.output_bytes;
}

bool Connection::has_output() const {
  const std::lock_guard lock(mutex_);
  return !output_.empty();
}

short Connection::wanted_events() const {
  const bool reads = !input_ended_ && input_.size() - input_taken_ < limits_.line_bytes && may_take_more();
  return static_cast<short>((reads ? POLLIN : 0) | (has_output() ? POLLOUT : 0));
}

void Connection::read_some() {
  input_.erase(0, input_taken_);
  input_taken_ = 0;
  char buffer[16384];
  const auto count = ::recv(socket_.get(), buffer, sizeof buffer, MSG_DONTWAIT);
  if (count > 0) input_.append(buffer, static_cast<std::size_t>(count));
  if (count == 0) {
    input_ended_ = true;
    if (!input_.empty() && input_.back() != '\n') input_ += '\n';  // a last line without its newline is a line
  }
  if (count < 0 && errno != EAGAIN && errno != EINTR) give_up();
}

std::optional<std::string_view> Connection::next_line() {
  if (!may_take_more()) return std::nullopt;
  const auto end = input_.find('\n', input_taken_);
  if (end == std::string::npos || end - input_taken_ >= limits_.line_bytes) return std::nullopt;
  const std::string_view line(input_.data() + input_taken_, end - input_taken_);
  input_taken_ = end + 1;
  return line;
}

bool Connection::line_too_long() const noexcept {
  const auto end = input_.find('\n', input_taken_);
  return (end == std::string::npos ? input_.size() : end) - input_taken_ >= limits_.line_bytes;
}

void Connection::write_some() {
  const std::lock_guard lock(mutex_);
  const auto count = ::send(socket_.get(), output_.data(), output_.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (count > 0) output_.erase(0, static_cast<std::size_t>(count));
  if (count < 0 && errno != EAGAIN && errno != EINTR) broken_ = true;
}

void Connection::end_input() noexcept {
  input_ended_ = true;
  input_.clear();
  input_taken_ = 0;
}

bool Connection::finished() const {
  if (broken_) return true;
  if (!input_ended_ || input_taken_ < input_.size()) return false;
  const std::lock_guard lock(mutex_);
  return calls_ == 0 && output_.empty() && feeds_begun_ == 0;  // who follows needs to say nothing more
}

}  // namespace tintype
