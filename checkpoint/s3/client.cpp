// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/s3/client.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <ctime>
#include <random>

#include "checkpoint/format/part_format.h"
#include "checkpoint/s3/late_curl.h"
#include "checkpoint/s3/task_pool.h"
#include "checkpoint/s3/xml.h"
#include "vmm/base/error.h"

namespace tintype {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;
using namespace std::chrono_literals;

constexpr milliseconds kFirstPause = 100ms, kLongestPause = 5s, kPatience = 20s;
constexpr int kNotFound = 404, kConditionFailed = 412, kNotImplemented = 501, kNoStorage = 507, kBeyondEnd = 416;

/// It may be another thing in a moment.
bool passes(const HttpAnswer& answer) {
  if (answer.status == 0 || answer.status == 429 || answer.status == 408) return true;
  if (answer.status == 400) return xml_text(answer.body, "Code") == "RequestTimeout";
  return answer.status >= 500 && answer.status != kNotImplemented && answer.status != kNoStorage;
}

/// Half of it to all of it, so that those who failed together do not come back together.
milliseconds jittered(milliseconds pause) {
  thread_local std::minstd_rand random{std::random_device{}()};
  return pause / 2 + milliseconds(random() % static_cast<std::uint64_t>(pause.count() / 2 + 1));
}

std::uint64_t number_in(std::string_view text) {
  std::uint64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

std::int64_t seconds_of_iso(const std::string& text) {
  std::tm parts{};
  const char* const end = ::strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &parts);
  return end == nullptr ? 0 : ::timegm(&parts);
}

std::int64_t seconds_of_header(const std::string& text) {
  return text.empty() ? std::time(nullptr) : static_cast<std::int64_t>(LateCurl::get().getdate(text.c_str(), nullptr));
}

/// "bytes 0-99/1234": where it begins, and how long all of it is.
std::optional<std::pair<std::uint64_t, std::uint64_t>> parse_range(std::string_view text) {
  constexpr std::string_view kUnit = "bytes ";
  const std::size_t slash = text.find('/');
  if (!text.starts_with(kUnit) || slash == text.npos) return std::nullopt;
  return std::pair{number_in(text.substr(kUnit.size())), number_in(text.substr(slash + 1))};
}

bool is_quota(int status, std::string_view code) {
  return code == "QuotaExceeded" || code == "EntityTooLarge" || code == "StorageFull" || status == kNoStorage ||
         status == 413;
}

}  // namespace

milliseconds S3Client::default_patience() {
  const char* const seconds = std::getenv("TINTYPE_STORE_PATIENCE");
  if (seconds == nullptr || *seconds == '\0') return kPatience;
  const std::string_view text = seconds;
  const std::uint64_t number = number_in(text);
  if (text.find_first_not_of("0123456789") != text.npos || number == 0 || number > 86'400)
    throw UsageError("TINTYPE_STORE_PATIENCE cannot be \"{}\": give seconds, 1 to 86400", text);
  return std::chrono::seconds(number);
}

/// Lends a connection to one request.
class S3Client::Lease {
 public:
  explicit Lease(S3Client& client) : client_(client) {
    {
      const std::lock_guard lock(client_.mutex_);
      if (!client_.idle_.empty()) {
        connection_ = std::move(client_.idle_.back());
        client_.idle_.pop_back();
      }
    }
    if (!connection_)
      connection_ = std::make_unique<S3Connection>(client_.credentials_, client_.location_.region, client_.stop_);
  }
  ~Lease() {
    const std::lock_guard lock(client_.mutex_);
    client_.idle_.push_back(std::move(connection_));
  }
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;
  S3Connection* operator->() noexcept { return connection_.get(); }

 private:
  S3Client& client_;
  std::unique_ptr<S3Connection> connection_;
};

S3Client::S3Client(S3Location location, S3Credentials credentials, milliseconds patience)
    : location_(std::move(location)), credentials_(std::move(credentials)), patience_(patience) {}

S3Client::~S3Client() = default;

void S3Client::stop() noexcept {
  const std::lock_guard lock(mutex_);
  stop_ = true;
  stopped_.notify_all();
}

void S3Client::throw_if_stopped() const {
  if (stop_) throw Error("what was under way with {} was ended", location_.name());
}

void S3Client::pause(milliseconds time) {
  std::unique_lock lock(mutex_);
  stopped_.wait_for(lock, time, [this] { return stop_.load(); });
}

HttpRequest S3Client::request(const char* method, const std::string& name, const Query& query) const {
  HttpRequest request;
  request.method = method;
  request.url = fmt::format("{}/{}", location_.endpoint, location_.bucket);
  if (!name.empty()) request.url += "/" + percent_encoded(location_.key(name), true);
  char separator = '?';
  for (const auto& [word, value] : query) {
    request.url += fmt::format("{}{}={}", separator, word, percent_encoded(value, false));
    separator = '&';
  }
  return request;
}

HttpAnswer S3Client::perform(const HttpRequest& request) {
  std::optional<Clock::time_point> failing_since;
  for (milliseconds pause_time = kFirstPause;; pause_time = std::min(pause_time * 2, kLongestPause)) {
    throw_if_stopped();
    HttpAnswer answer = Lease(*this)->perform(request);
    if (!passes(answer)) return answer;
    throw_if_stopped();
    if (!failing_since) failing_since = Clock::now();
    if (Clock::now() - *failing_since + pause_time > patience_) {
      if (answer.status != 0)
        throw NoAnswer("the object store at {} cannot answer now ({} {}): try again later", location_.endpoint,
                       answer.status, xml_text(answer.body, "Code"));
      throw NoAnswer(
          "the object store at {} does not answer ({}): see whether it runs, and whether the endpoint is right",
          location_.endpoint, answer.problem);
    }
    pause(jittered(pause_time));
  }
}

void S3Client::throw_refused(const HttpAnswer& answer, const std::string& doing) const {
  const std::string code = xml_text(answer.body, "Code");
  const std::string where = location_.name();
  if (is_quota(answer.status, code))
    throw DestinationFull(
        "the destination is full: the quota of {} does not allow {}; delete something, have it raised, "
        "or choose another destination",
        where, doing);
  if (code == "NoSuchBucket")
    throw Error("there is no bucket {} at {}: make it first, or name another one", location_.bucket,
                location_.endpoint);
  if (code == "RequestTimeTooSkewed") {
    const auto ahead = std::time(nullptr) - seconds_of_header(answer.header("date"));
    throw Error(
        "the object store at {} refuses requests of this time: the clock of this computer is {} s {} the "
        "store's; set it right",
        location_.endpoint, std::abs(ahead), ahead < 0 ? "behind" : "ahead of");
  }
  if (code == "SignatureDoesNotMatch" || code == "InvalidAccessKeyId" || answer.status == 401)
    throw Error(
        "the object store at {} does not know this access key, or the secret is wrong: look at "
        "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or at ~/.aws/credentials",
        location_.endpoint);
  if (answer.status == 403)
    throw Error("the object store at {} does not allow {} in {}: have the right given to this access key",
                location_.endpoint, doing, where);
  throw Error("{} failed in {}: the object store answers {} {}", doing, where, answer.status,
              code.empty() ? "without a reason" : code);
}

S3Client::Listing S3Client::list(const std::string& beginning, bool flat) {
  Listing listing;
  const std::size_t prefix_bytes = location_.key("").size();
  const auto without_prefix = [&](std::string_view text, const char* element) {
    const std::string name = xml_text(text, element);
    return name.size() < prefix_bytes ? std::string() : name.substr(prefix_bytes);
  };
  for (std::string token;;) {
    Query query;
    if (!token.empty()) query.emplace_back("continuation-token", token);
    if (!flat) query.emplace_back("delimiter", "/");
    query.emplace_back("list-type", "2");
    query.emplace_back("prefix", location_.key(beginning));
    const HttpAnswer answer = perform(request("GET", "", query));
    if (!answer.good()) throw_refused(answer, "listing");
    listing.now = seconds_of_header(answer.header("date"));
    for (const std::string_view each : xml_elements(answer.body, "Contents")) {
      listing.objects.push_back({without_prefix(each, "Key"), number_in(xml_text(each, "Size")), xml_text(each, "ETag"),
                                 seconds_of_iso(xml_text(each, "LastModified"))});
    }
    for (const std::string_view each : xml_elements(answer.body, "CommonPrefixes"))
      listing.folders.push_back(without_prefix(each, "Prefix"));
    const std::string next = xml_text(answer.body, "NextContinuationToken");
    if (xml_text(answer.body, "IsTruncated") != "true" || next.empty() || next == token) break;
    token = next;
  }
  return listing;
}

std::optional<S3Client::Content> S3Client::get(const std::string& name) {
  const HttpAnswer answer = perform(request("GET", name));
  if (answer.status == kNotFound && xml_text(answer.body, "Code") != "NoSuchBucket") return std::nullopt;
  if (!answer.good()) throw_refused(answer, "reading " + name);
  return Content{answer.body, answer.header("etag")};
}

std::optional<std::uint64_t> S3Client::size_of(const std::string& name) {
  const HttpAnswer answer = perform(request("HEAD", name));
  if (answer.status == kNotFound) return std::nullopt;
  if (!answer.good()) throw_refused(answer, "looking at " + name);
  return number_in(answer.header("content-length"));
}

std::optional<S3Client::PieceRead> S3Client::read(const std::string& name, std::uint64_t offset,
                                                  std::span<std::byte> into) {
  HttpRequest wanted = request("GET", name);
  wanted.headers.push_back(fmt::format("Range: bytes={}-{}", offset, offset + into.size() - 1));
  wanted.into = into;
  const HttpAnswer answer = perform(wanted);
  if (answer.status == kNotFound && xml_text(answer.body, "Code") != "NoSuchBucket") return std::nullopt;
  if (answer.status == kBeyondEnd) return PieceRead{0, size_of(name).value_or(0)};
  if (!answer.good()) throw_refused(answer, "reading " + name);
  const auto range = parse_range(answer.header("content-range"));
  if (range ? range->first != offset : offset != 0)
    throw Error("the object store at {} gives another piece of {} than it was asked for", location_.endpoint, name);
  return PieceRead{answer.received, range ? range->second : answer.received};
}

std::string S3Client::put(const std::string& name, const Pieces& body) {
  HttpRequest wanted = request("PUT", name);
  wanted.body = body;
  const HttpAnswer answer = perform(wanted);
  if (!answer.good()) throw_refused(answer, "writing " + name);
  return answer.header("etag");
}

std::string S3Client::put(const std::string& name, std::string_view text) {
  return put(name, Pieces{std::as_bytes(std::span(text))});
}

S3Client::Created S3Client::create(const std::string& name, std::string_view text) {
  HttpRequest wanted = request("PUT", name);
  wanted.headers.emplace_back("If-None-Match: *");
  wanted.body = {std::as_bytes(std::span(text))};
  const HttpAnswer answer = perform(wanted);
  if (answer.status == kConditionFailed || answer.status == 409) return Created::kTaken;
  if (answer.status == kNotImplemented) return Created::kCannotSay;
  if (!answer.good()) throw_refused(answer, "writing " + name);
  return Created::kYes;
}

// Without quotation marks: Ceph takes them for a part of the tag, and others know it either way.
S3Client::Replaced S3Client::replace(const std::string& name, const std::string& tag, std::string_view text) {
  HttpRequest wanted = request("PUT", name);
  std::string bare = tag;
  std::erase(bare, '"');
  wanted.headers.push_back("If-Match: " + bare);
  wanted.body = {std::as_bytes(std::span(text))};
  const HttpAnswer answer = perform(wanted);
  if (answer.status == kConditionFailed || answer.status == 409 || answer.status == kNotFound) {
    if (xml_text(answer.body, "Code") == "NoSuchBucket") throw_refused(answer, "writing " + name);
    return Replaced::kChanged;
  }
  if (answer.status == kNotImplemented) return Replaced::kCannotSay;
  if (!answer.good()) throw_refused(answer, "writing " + name);
  return Replaced::kYes;
}

void S3Client::remove(const std::string& name) {
  const HttpAnswer answer = perform(request("DELETE", name));
  if (!answer.good() && answer.status != kNotFound) throw_refused(answer, "deleting " + name);
}

// One by one: for all of them in one request the store wants an MD5 of it.
void S3Client::remove(const std::vector<std::string>& names) {
  std::vector<TaskPool::Task> tasks;
  for (const std::string& name : names) tasks.push_back([this, &name] { remove(name); });
  TaskPool::do_all(std::move(tasks));
}

std::string S3Client::begin_upload(const std::string& name) {
  const HttpAnswer answer = perform(request("POST", name, {{"uploads", ""}}));
  const std::string upload = xml_text(answer.body, "UploadId");
  if (!answer.good() || upload.empty()) throw_refused(answer, "writing " + name);
  return upload;
}

std::string S3Client::put_part(const std::string& name, const std::string& upload, unsigned number,
                               const Pieces& body) {
  HttpRequest wanted = request("PUT", name, {{"partNumber", std::to_string(number)}, {"uploadId", upload}});
  wanted.body = body;
  const HttpAnswer answer = perform(wanted);
  if (!answer.good() || answer.header("etag").empty()) throw_refused(answer, "writing " + name);
  return answer.header("etag");
}

// A good status may come before the work is done, and a bad end of it in the body. What was done already, before an
// answer was lost, is known by its length.
void S3Client::complete_upload(const std::string& name, const std::string& upload, const std::vector<std::string>& tags,
                               std::uint64_t bytes) {
  std::string text = "<CompleteMultipartUpload>";
  for (std::size_t i = 0; i < tags.size(); ++i)
    text += fmt::format("<Part><PartNumber>{}</PartNumber><ETag>{}</ETag></Part>", i + 1, tags[i]);
  text += "</CompleteMultipartUpload>";
  HttpRequest wanted = request("POST", name, {{"uploadId", upload}});
  wanted.body = {std::as_bytes(std::span(text))};
  const HttpAnswer answer = perform(wanted);
  if (answer.good() && xml_elements(answer.body, "Error").empty()) return;
  if (size_of(name) == bytes) return;
  throw_refused(answer, "writing " + name);
}

void S3Client::abort_upload(const std::string& name, const std::string& upload) {
  const HttpAnswer answer = perform(request("DELETE", name, {{"uploadId", upload}}));
  if (!answer.good() && answer.status != kNotFound) throw_refused(answer, "deleting " + name);
}

std::vector<S3Client::Upload> S3Client::uploads(const std::string& beginning) {
  const HttpAnswer answer = perform(request("GET", "", {{"prefix", location_.key(beginning)}, {"uploads", ""}}));
  if (!answer.good()) throw_refused(answer, "listing");
  std::vector<Upload> uploads;
  const std::size_t prefix_bytes = location_.key("").size();
  for (const std::string_view each : xml_elements(answer.body, "Upload")) {
    const std::string key = xml_text(each, "Key");
    if (key.starts_with(location_.key(beginning)))
      uploads.push_back({key.substr(prefix_bytes), xml_text(each, "UploadId")});
  }
  return uploads;
}

}  // namespace tintype
