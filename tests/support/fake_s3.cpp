// SPDX-License-Identifier: Apache-2.0
#include "tests/support/fake_s3.h"

#include <poll.h>
#include <unistd.h>

#include <sys/socket.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <ctime>
#include <set>

#include <fmt/format.h>
#include <netinet/in.h>

#include "vmm/base/checksum.h"
#include "vmm/base/error.h"

namespace tintype::testing {
namespace {

constexpr const char* kBucket = "bucket";

std::string lower(std::string text) {
  std::ranges::transform(text, text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

std::string decoded(std::string_view text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    unsigned value = 0;
    if (text[i] == '%' && i + 2 < text.size()) {
      std::from_chars(text.data() + i + 1, text.data() + i + 3, value, 16);
      plain += static_cast<char>(value);
      i += 2;
    } else {
      plain += text[i];
    }
  }
  return plain;
}

/// Of a query, "" where it does not say.
std::string word_of(const std::string& query, const std::string& name) {
  const std::string padded = "&" + query;
  const std::size_t at = padded.find("&" + name + "=");
  if (at == padded.npos) return {};
  const std::size_t from = at + name.size() + 2;
  return decoded(padded.substr(from, padded.find('&', from) - from));
}

bool has_word(const std::string& query, const std::string& name) {
  return ("&" + query).find("&" + name) != std::string::npos;
}

std::string tag_of(const std::string& bytes) {
  return fmt::format("\"{:016x}\"", checksum_of(std::as_bytes(std::span(bytes))));
}

std::string time_text(const char* format) {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  ::gmtime_r(&now, &parts);
  char text[64];
  return {text, std::strftime(text, sizeof text, format, &parts)};
}

bool send_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const auto sent = ::send(fd, text.data(), text.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

bool receive_some(int fd, std::string& buffer) {
  char bytes[65536];
  const auto got = ::recv(fd, bytes, sizeof bytes, 0);
  if (got <= 0) return false;
  buffer.append(bytes, static_cast<std::size_t>(got));
  return true;
}

}  // namespace

FakeS3::FakeS3() : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  if (::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), length) != 0 ||
      ::listen(listener_.get(), 64) != 0 ||
      ::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &length) != 0)
    throw_errno("a socket for the fake object store");
  port_ = ntohs(address.sin_port);
  ::setenv("AWS_ACCESS_KEY_ID", "key", 1);
  ::setenv("AWS_SECRET_ACCESS_KEY", "secret", 1);
  acceptor_ = std::thread([this] { accept_all(); });
}

FakeS3::~FakeS3() {
  ending_ = true;
  acceptor_.join();
  {
    const std::lock_guard lock(mutex_);
    for (const int fd : connections_) ::shutdown(fd, SHUT_RDWR);
  }
  for (std::thread& thread : threads_) thread.join();
}

std::string FakeS3::endpoint() const { return fmt::format("http://127.0.0.1:{}", port_); }
std::string FakeS3::place(const std::string& prefix) const {
  return fmt::format("s3://{}/{}?endpoint={}", kBucket, prefix, endpoint());
}

void FakeS3::set_fault(ChooseFault choose) {
  std::unique_lock lock(mutex_);
  fault_ = std::move(choose);
  all_done_.wait(lock, [this] { return being_done_ == 0; });
}

FakeS3::ChooseFault FakeS3::begin_request() {
  const std::lock_guard lock(mutex_);
  ++being_done_;
  return fault_;
}

void FakeS3::end_request() {
  const std::lock_guard lock(mutex_);
  --being_done_;
  all_done_.notify_all();
}

std::vector<std::string> FakeS3::names() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> names;
  for (const auto& [name, bytes] : objects_) names.push_back(name);
  return names;
}

std::string FakeS3::object(const std::string& name) const {
  const std::lock_guard lock(mutex_);
  const auto found = objects_.find(name);
  return found == objects_.end() ? std::string() : found->second;
}

void FakeS3::put(const std::string& name, const std::string& bytes) {
  const std::lock_guard lock(mutex_);
  objects_[name] = bytes;
}

void FakeS3::erase(const std::string& name) {
  const std::lock_guard lock(mutex_);
  objects_.erase(name);
}

std::size_t FakeS3::open_uploads() const {
  const std::lock_guard lock(mutex_);
  return uploads_.size();
}

void FakeS3::accept_all() {
  while (!ending_) {
    pollfd wait{listener_.get(), POLLIN, 0};
    if (::poll(&wait, 1, 50) <= 0) continue;
    const int fd = ::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) continue;
    const std::lock_guard lock(mutex_);
    connections_.push_back(fd);
    threads_.emplace_back([this, fd] { serve(fd); });
  }
}

bool FakeS3::read_request(int fd, std::string& buffer, Request& request) {
  std::size_t end = 0;
  while ((end = buffer.find("\r\n\r\n")) == buffer.npos)
    if (!receive_some(fd, buffer)) return false;
  const std::string head = buffer.substr(0, end);
  buffer.erase(0, end + 4);
  const std::size_t first = head.find(' '), second = head.find(' ', first + 1);
  request.method = head.substr(0, first);
  std::string target = head.substr(first + 1, second - first - 1);
  const std::size_t question = std::min(target.find('?'), target.size());
  request.query = target.substr(std::min(target.size(), question + 1));
  request.name = decoded(std::string_view(target).substr(1, question - 1));
  const std::size_t slash = std::min(request.name.find('/'), request.name.size());
  request.name = request.name.substr(std::min(request.name.size(), slash + 1));
  for (std::size_t at = head.find("\r\n"); at != head.npos; at = head.find("\r\n", at + 2)) {
    const std::string line = head.substr(at + 2, head.find("\r\n", at + 2) - at - 2);
    const std::size_t colon = line.find(": ");
    if (colon != line.npos) request.headers[lower(line.substr(0, colon))] = line.substr(colon + 2);
  }
  if (request.headers.contains("expect") && !send_all(fd, "HTTP/1.1 100 Continue\r\n\r\n")) return false;
  const auto length = std::strtoull(request.headers["content-length"].c_str(), nullptr, 10);
  while (buffer.size() < length)
    if (!receive_some(fd, buffer)) return false;
  request.body = buffer.substr(0, length);
  buffer.erase(0, length);
  return true;
}

FakeS3::Answer FakeS3::answer_with(Fault fault, const Request& request) {
  switch (fault) {
    case Fault::kUnavailable:
      return failure(503, "SlowDown");
    case Fault::kTooMany:
      return failure(429, "TooManyRequests");
    case Fault::kBadSecret:
      return failure(403, "SignatureDoesNotMatch");
    case Fault::kSkewed:
      return failure(403, "RequestTimeTooSkewed");
    case Fault::kQuota:
      return failure(403, "QuotaExceeded");
    case Fault::kNoBucket:
      return failure(404, "NoSuchBucket");
    default:
      return answer(request);
  }
}

void FakeS3::serve(int fd) {
  std::string buffer;
  for (Request request; read_request(fd, buffer, request); request = {}) {
    if (down_ || ending_) break;
    const std::uint64_t number = ++requests_;
    Fault fault = Fault::kNone;
    Answer given;
    const ChooseFault choose = begin_request();
    if (choose) fault = choose(request);
    if (fault == Fault::kLate) std::this_thread::sleep_for(std::chrono::milliseconds(100));
    if (fault != Fault::kRefused) given = answer_with(fault, request);
    end_request();
    if (fault == Fault::kRefused || fault == Fault::kAnswerLost) break;
    std::string text = fmt::format("HTTP/1.1 {} X\r\nDate: {}\r\nx-amz-request-id: {}\r\n", given.status,
                                   time_text("%a, %d %b %Y %H:%M:%S GMT"), number);
    for (const auto& [name, value] : given.headers) text += fmt::format("{}: {}\r\n", name, value);
    if (!given.headers.contains("Content-Length")) text += fmt::format("Content-Length: {}\r\n", given.body.size());
    text += "\r\n";
    if (request.method != "HEAD") text += given.body;
    if (fault == Fault::kAnswerCut) {
      send_all(fd, text.substr(0, text.size() - given.body.size() / 2 - (given.body.empty() ? 3 : 1)));
      break;
    }
    if (fault == Fault::kAnswerTwice) text += text;
    if (!send_all(fd, text)) break;
  }
  const std::lock_guard lock(mutex_);
  std::erase(connections_, fd);
  ::close(fd);
}

FakeS3::Answer FakeS3::failure(int status, const std::string& code) {
  return {status, fmt::format("<?xml version=\"1.0\"?><Error><Code>{}</Code></Error>", code), {}};
}

FakeS3::Answer FakeS3::answer(const Request& request) {
  const std::lock_guard lock(mutex_);
  if (request.method == "PUT") return put(request);
  if (request.method == "POST") return post(request);
  if (request.method == "DELETE") return remove(request);
  if (request.name.empty()) return has_word(request.query, "uploads") ? uploads(request) : list(request);
  return get(request);
}

// Two objects a page, so that paging is used.
FakeS3::Answer FakeS3::list(const Request& request) const {
  constexpr std::size_t kPage = 2;
  const std::string prefix = word_of(request.query, "prefix"), after = word_of(request.query, "continuation-token");
  const bool flat = word_of(request.query, "delimiter").empty();
  std::string text = "<ListBucketResult>", last;
  std::set<std::string> folders;
  std::size_t count = 0;
  bool more = false;
  for (const auto& [name, bytes] : objects_) {
    if (!name.starts_with(prefix) || name <= after) continue;
    const std::size_t slash = name.find('/', prefix.size());
    const bool folded = !flat && slash != name.npos;
    const std::string folder = folded ? name.substr(0, slash + 1) : "";
    if (folded && (folders.contains(folder) || (!after.empty() && after.starts_with(folder)))) {
      last = name;
      continue;
    }
    if (count == kPage) {
      more = true;
      break;
    }
    ++count;
    last = name;
    if (folded) {
      folders.insert(folder);
      text += fmt::format("<CommonPrefixes><Prefix>{}</Prefix></CommonPrefixes>", folder);
    } else {
      text += fmt::format(
          "<Contents><Key>{}</Key><LastModified>{}.000Z</LastModified><ETag>&quot;{}&quot;</ETag>"
          "<Size>{}</Size></Contents>",
          name, time_text("%Y-%m-%dT%H:%M:%S"), tag_of(bytes).substr(1, 16), bytes.size());
    }
  }
  text += fmt::format("<IsTruncated>{}</IsTruncated>", more);
  if (more) text += fmt::format("<NextContinuationToken>{}</NextContinuationToken>", last);
  return {200, text + "</ListBucketResult>", {}};
}

FakeS3::Answer FakeS3::uploads(const Request& request) const {
  std::string text = "<ListMultipartUploadsResult>";
  for (const auto& [id, upload] : uploads_) {
    if (upload.name.starts_with(word_of(request.query, "prefix")))
      text += fmt::format("<Upload><Key>{}</Key><UploadId>{}</UploadId></Upload>", upload.name, id);
  }
  return {200, text + "</ListMultipartUploadsResult>", {}};
}

FakeS3::Answer FakeS3::put(const Request& request) {
  const std::string upload = word_of(request.query, "uploadId");
  if (!upload.empty()) {
    const auto found = uploads_.find(upload);
    if (found == uploads_.end()) return failure(404, "NoSuchUpload");
    found->second.parts[static_cast<unsigned>(std::stoul(word_of(request.query, "partNumber")))] = request.body;
    return {200, "", {{"ETag", tag_of(request.body)}}};
  }
  if (request.headers.contains("if-none-match")) {
    if (!conditions_) return failure(501, "NotImplemented");
    if (objects_.contains(request.name)) return failure(412, "PreconditionFailed");
  }
  const auto wanted = request.headers.find("if-match");
  if (wanted != request.headers.end()) {
    if (!conditions_) return failure(501, "NotImplemented");
    const auto found = objects_.find(request.name);
    if (found == objects_.end()) return failure(404, "NoSuchKey");
    if (tag_of(found->second) != '"' + wanted->second + '"') return failure(412, "PreconditionFailed");
  }
  objects_[request.name] = request.body;
  return {200, "", {{"ETag", tag_of(request.body)}}};
}

FakeS3::Answer FakeS3::post(const Request& request) {
  if (has_word(request.query, "uploads")) {
    const std::string id = std::to_string(next_upload_++);
    uploads_[id].name = request.name;
    return {200,
            fmt::format("<InitiateMultipartUploadResult><UploadId>{}</UploadId></InitiateMultipartUploadResult>", id),
            {}};
  }
  const auto found = uploads_.find(word_of(request.query, "uploadId"));
  if (found == uploads_.end()) return failure(404, "NoSuchUpload");
  std::string whole;
  for (const auto& [number, bytes] : found->second.parts) whole += bytes;
  objects_[request.name] = whole;
  uploads_.erase(found);
  return {200, "<CompleteMultipartUploadResult></CompleteMultipartUploadResult>", {}};
}

FakeS3::Answer FakeS3::get(const Request& request) const {
  const auto found = objects_.find(request.name);
  if (found == objects_.end()) return failure(404, "NoSuchKey");
  const std::string& bytes = found->second;
  Answer given{200, bytes, {{"ETag", tag_of(bytes)}}};
  const auto range = request.headers.find("range");
  if (range != request.headers.end()) {
    std::uint64_t first = 0, last = 0;
    if (std::sscanf(range->second.c_str(), "bytes=%lu-%lu", &first, &last) != 2) return failure(400, "InvalidArgument");
    if (first >= bytes.size()) return failure(416, "InvalidRange");
    last = std::min<std::uint64_t>(last, bytes.size() - 1);
    given.status = 206;
    given.body = bytes.substr(first, last - first + 1);
    given.headers["Content-Range"] = fmt::format("bytes {}-{}/{}", first, last, bytes.size());
  }
  if (request.method == "HEAD") given.headers["Content-Length"] = std::to_string(bytes.size());
  return given;
}

FakeS3::Answer FakeS3::remove(const Request& request) {
  const std::string upload = word_of(request.query, "uploadId");
  if (upload.empty())
    objects_.erase(request.name);
  else
    uploads_.erase(upload);
  return {204, "", {}};
}

}  // namespace tintype::testing
