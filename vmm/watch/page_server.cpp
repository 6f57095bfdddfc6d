// SPDX-License-Identifier: Apache-2.0
#include "vmm/watch/page_server.h"

#include <sys/random.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <string_view>
#include <thread>

#include <nlohmann/json.hpp>

#include "vmm/base/error.h"
#include "vmm/watch/late_microhttpd.h"
#include "vmm/watch/page_feed.h"

namespace tintype {

using nlohmann::json;

namespace {

const LateMicrohttpd& http() { return LateMicrohttpd::get(); }

constexpr unsigned kMostClients = 64;
constexpr std::size_t kMostPages = 32, kBytesOfClient = 32 << 10, kMostWaitingActions = 8;
constexpr unsigned kPatienceSeconds = 15;  ///< with a client that neither reads nor writes
constexpr auto kLastWords = std::chrono::milliseconds(500);

std::string random_name() {
  std::array<std::uint8_t, 16> bytes;
  if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) throw_errno("getrandom");
  return fmt::format("{:02x}", fmt::join(bytes, ""));
}

/// In a time that does not tell how much of it was right.
bool is_same_secret(std::string_view given, std::string_view secret) {
  unsigned difference = given.size() == secret.size() ? 0 : 1;
  for (std::size_t i = 0; i < std::min(given.size(), secret.size()); ++i)
    difference |= static_cast<unsigned char>(given[i]) ^ static_cast<unsigned char>(secret[i]);
  return difference == 0;
}

std::string filled_in(std::string text, std::string_view what, const std::string& with) {
  for (auto at = text.find(what); at != text.npos; at = text.find(what, at + with.size()))
    text.replace(at, what.size(), with);
  return text;
}

std::string dumped(const json& object) { return object.dump(-1, ' ', false, json::error_handler_t::replace); }

/// One worker, so that two buttons at once are one after the other.
class ActionDesk {
 public:
  ActionDesk(PageActions actions, PageFeed& feed) : actions_(std::move(actions)), feed_(feed) {}
  ~ActionDesk() {
    {
      const std::lock_guard lock(mutex_);
      ends_ = true;
      wanted_.clear();
    }
    changed_.notify_all();
    actions_.give_up();
    thread_.join();
  }
  ActionDesk(const ActionDesk&) = delete;
  ActionDesk& operator=(const ActionDesk&) = delete;

  bool knows(std::string_view name) const {
    return std::find(actions_.names.begin(), actions_.names.end(), name) != actions_.names.end();
  }
  /// False where too many wait.
  bool ask(std::string name) {
    {
      const std::lock_guard lock(mutex_);
      if (wanted_.size() >= kMostWaitingActions) return false;
      wanted_.push_back(std::move(name));
    }
    changed_.notify_all();
    return true;
  }

 private:
  void run() {
    for (;;) {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return ends_ || !wanted_.empty(); });
      if (ends_) return;
      const std::string name = wanted_.front();
      wanted_.pop_front();
      lock.unlock();
      carry_out(name);
    }
  }

  void carry_out(const std::string& name) {
    json said = {{"action", name}, {"good", true}};
    try {
      said["text"] = actions_.carry_out(name);
    } catch (const std::exception& error) {
      said["good"] = false;
      said["text"] = error.what();
    }
    feed_.publish("said", dumped(said));
  }

  const PageActions actions_;
  PageFeed& feed_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::string> wanted_;
  bool ends_ = false;
  std::thread thread_{[this] { run(); }};
};

/// A page that listens: what libmicrohttpd asks for the bytes of its answer, on the server's thread.
struct Listening {
  PageFeed& feed;
  MHD_Connection* connection;
  PageFeed::Reader* reader;

  static ssize_t read(void* self, std::uint64_t, char* into, std::size_t room) {
    auto& page = *static_cast<Listening*>(self);
    const auto sleep = [&page] { http().suspend_connection(page.connection); };
    const PageFeed::Piece piece = page.feed.read(page.reader, into, room, sleep);
    if (piece.got == PageFeed::Got::kEnd) return MHD_CONTENT_READER_END_OF_STREAM;
    return static_cast<ssize_t>(piece.bytes);
  }
  static void forget(void* self) {
    const std::unique_ptr<Listening> page(static_cast<Listening*>(self));
    page->feed.close(page->reader);
  }
};

}  // namespace

class PageServer::Impl {
 public:
  Impl(LoopbackPort port, const std::string& page, PageActions actions)
      : port_(std::move(port)),
        token_(random_name()),
        nonce_(random_name()),
        url_(fmt::format("http://127.0.0.1:{}/{}/", port_.number, token_)),
        page_(filled_in(page, "@NONCE@", nonce_)),
        feed_([](void* connection) { http().resume_connection(static_cast<MHD_Connection*>(connection)); }),
        desk_(std::move(actions), feed_) {
    daemon_ = http().start_daemon(MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL | MHD_ALLOW_SUSPEND_RESUME, 0, nullptr,
                                  nullptr, &Impl::handle, this, MHD_OPTION_LISTEN_SOCKET, port_.fd.get(),
                                  MHD_OPTION_CONNECTION_LIMIT, kMostClients, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
                                  kBytesOfClient, MHD_OPTION_CONNECTION_TIMEOUT, kPatienceSeconds,
                                  MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END);
    if (daemon_ == nullptr) throw Error("the page cannot be served: {}", errno_text(errno));
  }

  ~Impl() {
    feed_.end();
    const auto until = std::chrono::steady_clock::now() + kLastWords;
    while (feed_.readers() != 0 && std::chrono::steady_clock::now() < until)
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    http().stop_daemon(daemon_);
    [[maybe_unused]] const int closed_by_daemon = port_.fd.release();
  }

  const std::string& url() const noexcept { return url_; }
  PageFeed& feed() noexcept { return feed_; }

 private:
  using Answer = std::unique_ptr<MHD_Response, decltype(&MHD_destroy_response)>;

  /// Once with the headers, once for each piece of the body, and once after all of it.
  static MHD_Result handle(void* self, MHD_Connection* connection, const char* path, const char* method, const char*,
                           const char*, std::size_t* body_bytes, void** seen) {
    auto& server = *static_cast<Impl*>(self);
    try {
      if (std::exchange(*seen, self) == nullptr) return server.look_at_headers(connection, path, method);
      if (*body_bytes != 0) return MHD_NO;  // no button has a body
      return server.answer(connection, path, method);
    } catch (const std::exception&) {  // out of memory: this client is hung up on
      return MHD_NO;
    }
  }

  MHD_Result look_at_headers(MHD_Connection* connection, std::string_view path, std::string_view method) {
    if (!is_ours(connection)) return refuse(connection, MHD_HTTP_FORBIDDEN, "only by a loopback address");
    if (!has_token(path)) return refuse(connection, MHD_HTTP_FORBIDDEN, "the address is not complete");
    if (method != "GET" && method != "POST") return refuse(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "GET or POST");
    const std::string_view length = header(connection, "Content-Length");
    if (!header(connection, "Transfer-Encoding").empty() || (!length.empty() && length != "0"))
      return refuse(connection, MHD_HTTP_CONTENT_TOO_LARGE, "nothing is taken in");
    return MHD_YES;
  }

  MHD_Result answer(MHD_Connection* connection, std::string_view path, std::string_view method) {
    const std::string_view what = path.substr(token_.size() + 2);
    if (method == "POST") return press(connection, what);
    if (what.empty()) return send(connection, MHD_HTTP_OK, "text/html; charset=utf-8", page_);
    if (what == "feed") return listen(connection);
    return refuse(connection, MHD_HTTP_NOT_FOUND, "there is no such page");
  }

  /// By the name that it was called by, and, where a page asks, by the page's.
  bool is_ours(MHD_Connection* connection) const {
    const auto is_loopback = [this](std::string_view host) {
      const std::string port = fmt::format(":{}", port_.number);
      return host == "127.0.0.1" + port || host == "localhost" + port;
    };
    const std::string_view origin = header(connection, "Origin");
    return is_loopback(header(connection, "Host")) &&
           (origin.empty() || (origin.starts_with("http://") && is_loopback(origin.substr(7))));
  }

  bool has_token(std::string_view path) const {
    if (path.size() < token_.size() + 2 || path[0] != '/' || path[token_.size() + 1] != '/') return false;
    return is_same_secret(path.substr(1, token_.size()), token_);
  }

  static std::string_view header(MHD_Connection* connection, const char* name) {
    const char* value = http().lookup_connection_value(connection, MHD_HEADER_KIND, name);
    return value == nullptr ? std::string_view() : value;
  }

  MHD_Result press(MHD_Connection* connection, std::string_view button) {
    if (!desk_.knows(button)) return refuse(connection, MHD_HTTP_NOT_FOUND, "there is no such button");
    if (!desk_.ask(std::string(button))) return refuse(connection, MHD_HTTP_SERVICE_UNAVAILABLE, "too much at once");
    return send(connection, MHD_HTTP_ACCEPTED, "text/plain", "it is being done\n");
  }

  MHD_Result listen(MHD_Connection* connection) {
    if (feed_.readers() >= kMostPages)
      return refuse(connection, MHD_HTTP_SERVICE_UNAVAILABLE, "too many pages are open");
    auto page = std::make_unique<Listening>(Listening{feed_, connection, feed_.open(connection)});
    constexpr std::size_t kPiece = 4096;
    const Answer answer(http().create_response_from_callback(MHD_SIZE_UNKNOWN, kPiece, &Listening::read, page.get(),
                                                             &Listening::forget),
                        http().destroy_response);
    void* const listening = page.release();  // the answer's, where there is one
    if (answer == nullptr) {
      Listening::forget(listening);
      return MHD_NO;
    }
    return queue(connection, MHD_HTTP_OK, "text/event-stream", answer.get());
  }

  MHD_Result refuse(MHD_Connection* connection, unsigned code, std::string_view why) const {
    return send(connection, code, "text/plain", fmt::format("{} {}\n", code, why));
  }

  MHD_Result send(MHD_Connection* connection, unsigned code, const char* type, const std::string& text) const {
    const Answer answer(
        http().create_response_from_buffer(text.size(), const_cast<char*>(text.data()), MHD_RESPMEM_MUST_COPY),
        http().destroy_response);
    return answer == nullptr ? MHD_NO : queue(connection, code, type, answer.get());
  }

  MHD_Result queue(MHD_Connection* connection, unsigned code, const char* type, MHD_Response* answer) const {
    const std::string policy = fmt::format(
        "default-src 'none'; script-src 'nonce-{0}'; style-src 'nonce-{0}'; img-src data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        nonce_);
    const std::pair<const char*, const char*> headers[] = {{"Content-Type", type},
                                                           {"Content-Security-Policy", policy.c_str()},
                                                           {"Cache-Control", "no-store"},
                                                           {"Referrer-Policy", "no-referrer"},
                                                           {"Cross-Origin-Resource-Policy", "same-origin"},
                                                           {"X-Content-Type-Options", "nosniff"}};
    for (const auto& [name, value] : headers) http().add_response_header(answer, name, value);
    return http().queue_response(connection, code, answer);
  }

  LoopbackPort port_;
  const std::string token_, nonce_, url_, page_;
  PageFeed feed_;
  ActionDesk desk_;
  MHD_Daemon* daemon_ = nullptr;
};

PageServer::PageServer(LoopbackPort port, const std::string& page, PageActions actions)
    : impl_(std::make_unique<Impl>(std::move(port), page, std::move(actions))) {}

PageServer::~PageServer() = default;

const std::string& PageServer::url() const noexcept { return impl_->url(); }

void PageServer::publish_sample(const json& sample) { impl_->feed().publish("sample", dumped(sample)); }
void PageServer::publish_event(const json& event) { impl_->feed().publish("event", dumped(event)); }
void PageServer::publish_end(const json& end) { impl_->feed().publish("end", dumped(end)); }

}  // namespace tintype
