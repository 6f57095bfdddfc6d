// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/standby/witness.h"

#include <algorithm>
#include <memory>

#include <nlohmann/json.hpp>

#include "checkpoint/format/manifest.h"
#include "checkpoint/s3/late_curl.h"
#include "vmm/base/error.h"
#include "vmm/base/log.h"
#include "vmm/base/thread.h"

namespace tintype {

using nlohmann::json;
using std::chrono::milliseconds;

namespace {

constexpr std::size_t kMostAnswer = 1 << 20;
/// It is renewed so often; and counts as lost so much before it runs out.
constexpr milliseconds kRenewal = Witness::kLease / 6, kMargin = Witness::kLease / 4;
constexpr milliseconds kFirstPatience = std::chrono::seconds(5);

/// The gateway wants keys and values so.
std::string base64(const std::string& text) {
  constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (std::size_t at = 0; at < text.size(); at += 3) {
    std::uint32_t bits = 0;
    for (std::size_t i = 0; i < 3; ++i)
      bits = bits << 8 | (at + i < text.size() ? static_cast<unsigned char>(text[at + i]) : 0);
    for (std::size_t i = 0; i < 4; ++i) out += at + i > text.size() ? '=' : kDigits[bits >> (18 - 6 * i) & 63];
  }
  return out;
}

/// What is there, as text; empty where there is nothing of the kind. It is untrusted.
std::string text_in(const json& answer, const char* where) {
  const json::json_pointer pointer(where);
  if (!answer.contains(pointer)) return {};
  const json& value = answer.at(pointer);
  if (value.is_boolean()) return value.get<bool>() ? "true" : "false";
  return value.is_string() ? value.get<std::string>() : "";
}

std::size_t take_answer(char* data, std::size_t size, std::size_t count, void* into) {
  auto& text = *static_cast<std::string*>(into);
  if (text.size() + size * count > kMostAnswer) return 0;
  text.append(data, size * count);
  return size * count;
}

}  // namespace

// A name that no other process has: who has the right is one of them.
void check_witness_url(const std::string& url, const std::string& option) {
  for (const std::string_view scheme : {"http://", "https://"})
    if (url.starts_with(scheme) && url.size() > scheme.size()) return;
  throw UsageError("{} cannot be \"{}\": give http://HOST:2379, where an etcd answers", option, url);
}

Witness::Witness(std::string url, const std::string& machine)
    : url_(std::move(url)),
      machine_(machine),
      holder_(new_identity()),
      lock_key_(base64("tintype/" + machine + "/holder")),
      last_key_(base64("tintype/" + machine + "/last")) {}

json Witness::post(const std::string& path, const json& body, milliseconds patience) const {
  const LateCurl& library = LateCurl::get();
  const std::unique_ptr<CURL, void (*)(CURL*)> curl(library.easy_init(), library.easy_cleanup);
  if (!curl) throw Error("libcurl cannot be used here");
  const std::string text = body.dump(), address = url_ + path;
  std::string answer;
  library.easy_setopt(curl.get(), CURLOPT_URL, address.c_str());
  library.easy_setopt(curl.get(), CURLOPT_PROTOCOLS_STR, "http,https");
  library.easy_setopt(curl.get(), CURLOPT_POSTFIELDS, text.c_str());
  library.easy_setopt(curl.get(), CURLOPT_TIMEOUT_MS, static_cast<long>(std::max<std::int64_t>(patience.count(), 1)));
  library.easy_setopt(curl.get(), CURLOPT_NOSIGNAL, 1L);
  library.easy_setopt(curl.get(), CURLOPT_WRITEFUNCTION, take_answer);
  library.easy_setopt(curl.get(), CURLOPT_WRITEDATA, &answer);
  const CURLcode code = library.easy_perform(curl.get());
  if (code != CURLE_OK) throw Error("the witness {} cannot be asked: {}", url_, library.easy_strerror(code));
  long status = 0;
  library.easy_getinfo(curl.get(), CURLINFO_RESPONSE_CODE, &status);
  json parsed = json::parse(answer, nullptr, false);
  if (status != 200 || !parsed.is_object()) throw Error("the witness {} answers {} to {}", url_, status, path);
  return parsed;
}

std::string Witness::identity(milliseconds patience) const {
  const std::string key = base64("tintype/witness"), mine = base64(new_identity());
  const json unless_there = {{{"key", key}, {"target", "CREATE"}, {"create_revision", "0"}}},
             put = {{{"request_put", {{"key", key}, {"value", mine}}}}}, look = {{{"request_range", {{"key", key}}}}};
  const json answer = post("/v3/kv/txn", {{"compare", unless_there}, {"success", put}, {"failure", look}}, patience);
  if (text_in(answer, "/succeeded") == "true") return mine;
  const std::string other = text_in(answer, "/responses/0/response_range/kvs/0/value");
  if (other.size() != mine.size() || other.find_first_of(" \r\n") != other.npos)
    throw Error("the witness {} does not say which one it is: is it an etcd?", url_);
  return other;
}

std::string Witness::acquire(Taking taking, milliseconds patience) {
  const json granted = post("/v3/lease/grant", {{"TTL", kLease.count() / 1000}}, patience);
  const std::string lease = text_in(granted, "/ID");
  if (lease.empty()) throw Error("the witness {} gives no lease", url_);
  json conditions = json::array({{{"key", lock_key_}, {"target", "CREATE"}, {"create_revision", "0"}}});
  if (taking == Taking::kAgain)
    conditions.push_back({{"key", last_key_}, {"target", "VALUE"}, {"value", base64(holder_)}});
  if (taking == Taking::kFromAnother)
    conditions.push_back({{"key", last_key_}, {"target", "CREATE"}, {"result", "GREATER"}, {"create_revision", "0"}});
  const json take = {{{"request_put", {{"key", lock_key_}, {"value", base64(holder_)}, {"lease", lease}}}},
                     {{"request_put", {{"key", last_key_}, {"value", base64(holder_)}}}}},
             look = {{{"request_range", {{"key", lock_key_}}}}, {{"request_range", {{"key", last_key_}}}}};
  const json answer = post("/v3/kv/txn", {{"compare", conditions}, {"success", take}, {"failure", look}}, patience);
  if (text_in(answer, "/succeeded") == "true") {  // whoever does not hear this may have it, and must not believe so
    lease_ = lease;
    return {};
  }
  revoke(lease);
  const std::string holds = text_in(answer, "/responses/0/response_range/kvs/0/value"),
                    held_last = text_in(answer, "/responses/1/response_range/kvs/0/value");
  another_had_it_ = !held_last.empty() && held_last != base64(holder_);
  if (!holds.empty())
    return fmt::format(
        "the witness {} says that {} runs elsewhere: end it there first, or wait for its lease to run out", url_,
        machine_);
  if (taking == Taking::kFromAnother)
    return fmt::format(
        "nobody has ever asked the witness {} for the right to run {}: name the one that the first "
        "computer asks",
        url_, machine_);
  return fmt::format("the witness {} says that {} ran elsewhere meanwhile", url_, machine_);
}

bool Witness::renew(milliseconds patience) {
  if (lease_.empty()) return false;
  const json answer = post("/v3/lease/keepalive", {{"ID", lease_}}, patience);
  const std::string left = text_in(answer, "/result/TTL");
  if (left.empty() || left == "0") lease_.clear();
  return !lease_.empty();
}

void Witness::release() noexcept {
  if (!lease_.empty()) revoke(std::exchange(lease_, {}));
}

void Witness::revoke(const std::string& lease) const noexcept {
  try {
    post("/v3/lease/revoke", {{"ID", lease}}, kRenewal);
  } catch (const std::exception&) {  // then it runs out
  }
}

LeaseKeeper::LeaseKeeper(const std::string& url, const std::string& machine, Witness::Taking taking)
    : machine_name_(machine), witness_(url, machine) {
  const auto asked = Clock::now();
  if (const std::string why_not = witness_.acquire(taking, kFirstPatience); !why_not.empty())
    throw Error("{}", why_not);
  until_ = asked + Witness::kLease;
  thread_ = std::thread([this] { run(); });
}

LeaseKeeper::~LeaseKeeper() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
    changed_.notify_all();
  }
  thread_.join();
  witness_.release();
}

void LeaseKeeper::guard(Machine machine) {
  const std::lock_guard lock(mutex_);
  machine_ = std::move(machine);
  if (standing_) machine_.stand_still(why_);
}

// The time of a lease is counted from before it was asked for, and a request never lasts beyond its end.
// Returns why not; nothing where it is had.
std::string LeaseKeeper::try_to_have() {
  const auto asked = Clock::now();
  const auto left = std::chrono::duration_cast<milliseconds>(until_ - kMargin - asked);
  const milliseconds patience = standing_ ? kRenewal : std::clamp(left, milliseconds(1), kRenewal);
  try {
    if (!witness_.renew(patience)) {
      const std::string why_not = witness_.acquire(Witness::Taking::kAgain, patience);
      if (!why_not.empty()) is_lost_ = witness_.another_had_it();
      if (!why_not.empty()) return why_not;
    }
    until_ = asked + Witness::kLease;
    return {};
  } catch (const std::exception& error) {
    log_note("{}", error.what());
    return error.what();
  }
}

void LeaseKeeper::run() noexcept {
  name_this_thread("lease");
  block_signals_in_this_thread();
  for (std::unique_lock lock(mutex_); !changed_.wait_for(lock, kRenewal, [this] { return ending_; });) {
    lock.unlock();
    const std::string why_not = try_to_have();
    lock.lock();
    if (why_not.empty() && standing_.exchange(false) && machine_.go_on) machine_.go_on();
    if (!why_not.empty() && !standing_ && Clock::now() + kRenewal >= until_ - kMargin) {
      standing_ = true;
      why_ = fmt::format("its lease could not be renewed, and another one may run it: {}", why_not);
      if (machine_.stand_still) machine_.stand_still(why_);
    }
  }
}

}  // namespace tintype
