// SPDX-License-Identifier: Apache-2.0
#include "vmm/control/machine_feeds.h"

#include <nlohmann/json.hpp>

#include "checkpoint/format/manifest.h"
#include "vmm/control/parameters.h"
#include "vmm/control/status_json.h"

namespace tintype {

using nlohmann::json;

namespace {

struct EventsRequest {
  bool past = false;
  bool progress = false;
};

void parameters(auto& list, EventsRequest& request) {
  list.flag("past", request.past, {});
  list.flag("progress", request.progress, {});
}

struct ConsoleRequest {
  std::uint64_t past = 0;
};

void parameters(auto& list, ConsoleRequest& request) { list.size("past", request.past, {}); }

template <typename Request>
Request wish_from(const json& object) {
  ParameterReader reader(object);
  Request request;
  parameters(reader, request);
  reader.refuse_others();
  return request;
}

class EventFeed final : public Feed {
 public:
  EventFeed(Machine& machine, const EventsRequest& request)
      : machine_(machine),
        log_(machine.events()),
        wants_progress_(request.progress),
        seen_(request.past ? 0 : log_.latest()),
        progress_seen_(log_.latest_progress().number) {}

  const char* method() const noexcept override { return "event"; }

  std::optional<json> next() override {
    if (auto event = next_event()) return event;
    log_.bell().arm();
    return next_event();
  }

 private:
  std::optional<json> next_event() {
    if (const auto event = log_.next(seen_)) {
      json object = event_to_json(machine_.config().name, *event);
      if (event->number > seen_ + 1) object["missed"] = event->number - seen_ - 1;
      seen_ = event->number;
      return object;
    }
    return wants_progress_ ? next_progress() : std::nullopt;
  }

  std::optional<json> next_progress() {
    const auto [number, progress] = log_.latest_progress();
    if (number == progress_seen_) return std::nullopt;
    progress_seen_ = number;
    json object = progress_to_json(progress);
    object["event"] = "progress";
    object["name"] = machine_.config().name;
    return object;
  }

  Machine& machine_;
  EventLog& log_;
  const bool wants_progress_;
  std::uint64_t seen_;
  std::uint64_t progress_seen_;
};

/// The first bytes after a silence go at once, then what comes is gathered for a few milliseconds.
class ConsoleFeed final : public Feed {
 public:
  ConsoleFeed(ConsoleLog& log, const ConsoleRequest& request)
      : log_(log), next_(log.end() - std::min(log.end(), request.past)) {}

  const char* method() const noexcept override { return "console"; }

  std::optional<json> next() override {
    if (Clock::now() < quiet_until_) return std::nullopt;
    auto piece = log_.read(next_, kPiece);
    if (piece.bytes.empty()) log_.bell().arm();
    if (piece.bytes.empty()) piece = log_.read(next_, kPiece);
    if (piece.bytes.empty()) return std::nullopt;
    if (piece.bytes.size() < kPiece) quiet_until_ = Clock::now() + kGatherTime;
    const std::uint64_t missed = piece.start - next_;
    next_ = piece.start + piece.bytes.size();
    json object = {{"text", path_to_json(piece.bytes)}};
    if (missed > 0) object["missed"] = missed;
    return object;
  }

  std::optional<Clock::time_point> due() const noexcept override {
    if (Clock::now() >= quiet_until_) return std::nullopt;
    return quiet_until_;
  }

 private:
  static constexpr std::size_t kPiece = 8192;
  static constexpr auto kGatherTime = std::chrono::milliseconds(5);

  ConsoleLog& log_;
  std::uint64_t next_;
  Clock::time_point quiet_until_{};
};

}  // namespace

std::unique_ptr<Feed> open_machine_feed(Machine& machine, std::string_view method, const json& params) {
  if (method == "events") return std::make_unique<EventFeed>(machine, wish_from<EventsRequest>(params));
  if (method == "console") return std::make_unique<ConsoleFeed>(machine.console(), wish_from<ConsoleRequest>(params));
  return nullptr;
}

json event_to_json(const std::string& machine, const MachineEvent& event) {
  json object = {{"event", name_of(event.kind)},
                 {"name", machine},
                 {"number", event.number},
                 {"time", event.time},
                 {"uptime_ms", event.uptime_ms}};
  if (!event.reason.empty()) object["reason"] = event.reason;
  if (event.exit_code) object["exit_code"] = *event.exit_code;
  if (event.checkpoint) object["checkpoint"] = json::parse(report_as_json(*event.checkpoint));
  return object;
}

}  // namespace tintype
