// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/s3/connection.h"

#include <sys/socket.h>

#include <algorithm>
#include <cctype>
#include <cstring>

#include <netinet/in.h>
#include <netinet/tcp.h>

#include "checkpoint/s3/late_curl.h"
#include "vmm/base/error.h"

namespace tintype {
namespace {

constexpr long kConnectMs = 5'000;
constexpr long kSilenceSeconds = 10;  ///< without a byte in either direction
constexpr long kBufferBytes = 512 << 10;
constexpr std::size_t kLongestBody = 16 << 20;  ///< of an answer that nobody gave room for
constexpr std::size_t kLongestHeaders = 64 << 10;

const LateCurl& library() { return LateCurl::get(); }

}  // namespace

std::uint64_t bytes_in(const Pieces& pieces) noexcept {
  std::uint64_t bytes = 0;
  for (const auto& piece : pieces) bytes += piece.size();
  return bytes;
}

std::string HttpAnswer::header(const std::string& name) const {
  const auto found = headers.find(name);
  return found == headers.end() ? std::string() : found->second;
}

/// One request on its way, and what curl calls for it.
struct S3Connection::Transfer {
  CURL* curl;
  const HttpRequest& request;
  HttpAnswer& answer;
  const std::atomic<bool>& stop;
  curl_socket_t& socket;            ///< the last that was made for this curl, which goes on with it
  std::size_t piece = 0, sent = 0;  ///< of the body: which piece, and how much of it
  std::size_t header_bytes = 0;

  std::size_t read_body(char* into, std::size_t room) noexcept {
    std::size_t done = 0;
    while (done < room && piece < request.body.size()) {
      const auto rest = request.body[piece].subspan(sent);
      const std::size_t count = std::min(rest.size(), room - done);
      std::memcpy(into + done, rest.data(), count);
      done += count;
      sent += count;
      if (sent == request.body[piece].size()) ++piece, sent = 0;
    }
    return done;
  }

  bool rewind(curl_off_t offset) noexcept {
    piece = sent = 0;
    auto left = static_cast<std::uint64_t>(offset);
    while (piece < request.body.size() && left >= request.body[piece].size()) left -= request.body[piece++].size();
    sent = left;
    return piece < request.body.size() || left == 0;
  }

  bool take_body(std::span<const char> bytes) {
    long status = 0;
    library().easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    if (!request.into.empty() && status >= 200 && status < 300) {
      if (bytes.size() > request.into.size() - answer.received) return false;
      std::memcpy(request.into.data() + answer.received, bytes.data(), bytes.size());
    } else {
      if (bytes.size() > kLongestBody - answer.body.size()) return false;
      answer.body.append(bytes.data(), bytes.size());
    }
    answer.received += bytes.size();
    return true;
  }

  bool take_header(std::string_view line) {
    header_bytes += line.size();
    if (header_bytes > kLongestHeaders) return false;
    if (line == "\r\n") acknowledge_at_once();
    if (line.starts_with("HTTP/")) answer.headers.clear();  // after a "100 Continue" comes another one
    const std::size_t colon = line.find(':');
    if (colon == line.npos) return true;
    std::string name(line.substr(0, colon));
    std::ranges::transform(name, name.begin(), [](unsigned char c) { return std::tolower(c); });
    line.remove_prefix(colon + 1);
    while (!line.empty() && std::isspace(static_cast<unsigned char>(line.front())) != 0) line.remove_prefix(1);
    while (!line.empty() && std::isspace(static_cast<unsigned char>(line.back())) != 0) line.remove_suffix(1);
    answer.headers[name] = line;
    return true;
  }

  /// A server that writes head and body of an answer one after the other may wait for the one to be acknowledged before
  /// it sends the other (RFC 896), and the kernel takes 40 ms to acknowledge what it could answer along with (tcp(7)).
  void acknowledge_at_once() const noexcept {
    const int on = 1;
    ::setsockopt(socket, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on);
  }

  static std::size_t on_read(char* into, std::size_t size, std::size_t count, void* self) noexcept {
    return static_cast<Transfer*>(self)->read_body(into, size * count);
  }
  static int on_seek(void* self, curl_off_t offset, int origin) noexcept {
    if (origin != SEEK_SET || !static_cast<Transfer*>(self)->rewind(offset)) return CURL_SEEKFUNC_FAIL;
    return CURL_SEEKFUNC_OK;
  }
  static std::size_t on_write(char* from, std::size_t size, std::size_t count, void* self) noexcept {
    return caught([&] { return static_cast<Transfer*>(self)->take_body({from, size * count}); }) ? size * count : 0;
  }
  static std::size_t on_header(char* from, std::size_t size, std::size_t count, void* self) noexcept {
    return caught([&] { return static_cast<Transfer*>(self)->take_header({from, size * count}); }) ? size * count : 0;
  }
  static int on_socket(void* self, curl_socket_t made, curlsocktype) noexcept {
    static_cast<Transfer*>(self)->socket = made;
    return CURL_SOCKOPT_OK;
  }
  static int on_progress(void* self, curl_off_t, curl_off_t, curl_off_t, curl_off_t) noexcept {
    return static_cast<Transfer*>(self)->stop ? 1 : 0;
  }
  template <typename Function>
  static bool caught(Function function) noexcept {
    try {
      return function();
    } catch (...) {  // no memory: the transfer fails
      return false;
    }
  }
};

struct S3Connection::Impl {
  S3Credentials credentials;
  std::string signing;  ///< as CURLOPT_AWS_SIGV4 has it
  const std::atomic<bool>& stop;
  CURL* curl;
  curl_socket_t socket;
  std::string last_id;  ///< of the answer before

  void prepare(Transfer& transfer, curl_slist* headers) const;
};

S3Connection::S3Connection(const S3Credentials& credentials, const std::string& region, const std::atomic<bool>& stop)
    : impl_(new Impl{credentials, fmt::format("aws:amz:{}:s3", region), stop, nullptr, CURL_SOCKET_BAD, {}}) {
  impl_->curl = library().easy_init();
  if (impl_->curl == nullptr) throw Error("curl cannot be started: there is too little memory");
}

S3Connection::~S3Connection() { library().easy_cleanup(impl_->curl); }

// What an option cannot do it answers with an error code; all of these are in every curl that has SigV4.
void S3Connection::Impl::prepare(Transfer& transfer, curl_slist* headers) const {
  const HttpRequest& request = transfer.request;
  library().easy_reset(curl);
  const auto set = [this](CURLoption option, auto value) {
    check(library().easy_setopt(curl, option, value) == CURLE_OK, "curl knows its options");
  };
  set(CURLOPT_URL, request.url.c_str());
  set(CURLOPT_PROTOCOLS_STR, "http,https");
  set(CURLOPT_AWS_SIGV4, signing.c_str());
  set(CURLOPT_USERNAME, credentials.access_key.c_str());
  set(CURLOPT_PASSWORD, credentials.secret_key.c_str());
  set(CURLOPT_HTTPHEADER, headers);
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_CONNECTTIMEOUT_MS, kConnectMs);
  set(CURLOPT_LOW_SPEED_LIMIT, 1L);
  set(CURLOPT_LOW_SPEED_TIME, kSilenceSeconds);
  set(CURLOPT_BUFFERSIZE, kBufferBytes);
  set(CURLOPT_UPLOAD_BUFFERSIZE, kBufferBytes);
  set(CURLOPT_WRITEFUNCTION, &Transfer::on_write);
  set(CURLOPT_WRITEDATA, &transfer);
  set(CURLOPT_HEADERFUNCTION, &Transfer::on_header);
  set(CURLOPT_HEADERDATA, &transfer);
  set(CURLOPT_SOCKOPTFUNCTION, &Transfer::on_socket);
  set(CURLOPT_SOCKOPTDATA, &transfer);
  set(CURLOPT_NOPROGRESS, 0L);
  set(CURLOPT_XFERINFOFUNCTION, &Transfer::on_progress);
  set(CURLOPT_XFERINFODATA, &transfer);
  if (request.method == "HEAD") {
    set(CURLOPT_NOBODY, 1L);
  } else if (request.method == "PUT" || request.method == "POST") {
    set(CURLOPT_UPLOAD, 1L);
    set(CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(bytes_in(request.body)));
    set(CURLOPT_READFUNCTION, &Transfer::on_read);
    set(CURLOPT_READDATA, &transfer);
    set(CURLOPT_SEEKFUNCTION, &Transfer::on_seek);
    set(CURLOPT_SEEKDATA, &transfer);
    set(CURLOPT_CUSTOMREQUEST, request.method.c_str());
  } else {
    set(CURLOPT_HTTPGET, 1L);
    set(CURLOPT_CUSTOMREQUEST, request.method.c_str());
  }
}

// This curl signs what it is told to sign: the hash of the body must stand in a header. The data has checksums of its
// own; over https it cannot be changed on the way, and over http it can be read on the way, too.
HttpAnswer S3Connection::perform(const HttpRequest& request) {
  HttpAnswer answer;
  Transfer transfer{impl_->curl, request, answer, impl_->stop, impl_->socket};
  std::unique_ptr<curl_slist, decltype(library().slist_free_all)> headers(nullptr, library().slist_free_all);
  const auto add = [&](const std::string& line) {
    curl_slist* const longer = library().slist_append(headers.get(), line.c_str());
    if (longer == nullptr) throw std::bad_alloc();
    static_cast<void>(headers.release());
    headers.reset(longer);
  };
  add("x-amz-content-sha256: UNSIGNED-PAYLOAD");
  if (!impl_->credentials.session_token.empty()) add("x-amz-security-token: " + impl_->credentials.session_token);
  for (const std::string& header : request.headers) add(header);
  impl_->prepare(transfer, headers.get());
  const CURLcode code = library().easy_perform(impl_->curl);
  long status = 0;
  library().easy_getinfo(impl_->curl, CURLINFO_RESPONSE_CODE, &status);
  const std::string id = answer.header("x-amz-request-id");
  // An answer that comes twice would be taken for that to the next request.
  const bool repeated = !id.empty() && id == impl_->last_id;
  impl_->last_id = id;
  if (code == CURLE_OK && !repeated) {
    answer.status = static_cast<int>(status);
    return answer;
  }
  answer.problem = repeated ? "an answer came twice" : library().easy_strerror(code);
  library().easy_cleanup(impl_->curl);  // and the connection with it
  impl_->curl = library().easy_init();
  if (impl_->curl == nullptr) throw std::bad_alloc();
  return answer;
}

}  // namespace tintype
