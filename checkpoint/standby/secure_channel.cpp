// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/standby/secure_channel.h"

#include <poll.h>

#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "checkpoint/standby/buffered_socket.h"
#include "checkpoint/standby/late_gnutls.h"
#include "vmm/base/error.h"

namespace tintype {

namespace {

/// With a pre-shared key only ciphers with SHA-256 can be had. Of these AES comes first, which processors have
/// instructions for; by itself the library would take ChaCha20, at some four times the work.
constexpr const char* kPriority =
    "NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+AES-128-GCM:+CHACHA20-POLY1305:-KX-ALL:+ECDHE-PSK:+DHE-PSK:%NO_TICKETS";
constexpr const char* kUser = "tintype";
constexpr std::size_t kLongestLine = 1024;

const LateGnutls& tls() { return LateGnutls::get(); }

void require(int result, const char* what) {
  if (result < 0) throw Error("{}: {}", what, tls().strerror(result));
}

gnutls_datum_t datum_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<unsigned char*>(const_cast<std::byte*>(bytes.data())), static_cast<unsigned>(bytes.size())};
}

}  // namespace

/// What is GnuTLS's, the key while it is in use, and its records on their way.
struct SecureChannel::Session {
  Session(ChannelEnd end, int socket, std::span<const std::byte> shared)
      : wire(socket), key(shared.begin(), shared.end()) {
    const bool server = end == ChannelEnd::kServer;
    require(tls().init(&session, server ? GNUTLS_SERVER : GNUTLS_CLIENT), "gnutls_init");
    require(tls().priority_set_direct(session, kPriority, nullptr), "gnutls_priority_set_direct");
    tls().session_set_ptr(session, this);
    if (server) {
      require(tls().psk_allocate_server_credentials(&of_server), "PSK credentials");
      tls().psk_set_server_credentials_function(of_server, find_key);
      require(tls().credentials_set(session, GNUTLS_CRD_PSK, of_server), "gnutls_credentials_set");
    } else {
      require(tls().psk_allocate_client_credentials(&of_client), "PSK credentials");
      const gnutls_datum_t datum = datum_of(key);
      require(tls().psk_set_client_credentials(of_client, kUser, &datum, GNUTLS_PSK_KEY_RAW), "PSK credentials");
      require(tls().credentials_set(session, GNUTLS_CRD_PSK, of_client), "gnutls_credentials_set");
    }
    tls().transport_set_ptr(session, &wire);
    tls().transport_set_push_function(session, push);
    tls().transport_set_pull_function(session, pull);
    tls().transport_set_pull_timeout_function(session, may_pull);
  }
  ~Session() {
    if (session != nullptr) tls().deinit(session);
    if (of_server != nullptr) tls().psk_free_server_credentials(of_server);
    if (of_client != nullptr) tls().psk_free_client_credentials(of_client);
    tls().memset(key.data(), 0, key.size());
  }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  static int find_key(gnutls_session_t session, const char* user, gnutls_datum_t* into) {
    const auto& self = *static_cast<const Session*>(tls().session_get_ptr(session));
    if (std::strcmp(user, kUser) != 0) return -1;
    into->data = static_cast<unsigned char*>((*tls().malloc)(self.key.size()));
    into->size = static_cast<unsigned>(self.key.size());
    if (into->data == nullptr) return -1;
    std::memcpy(into->data, self.key.data(), self.key.size());
    return 0;
  }

  // What GnuTLS calls for its records. They do not wait.
  static ssize_t push(gnutls_transport_ptr_t wire, const void* from, std::size_t count) noexcept {
    return static_cast<BufferedSocket*>(wire)->put({static_cast<const std::byte*>(from), count});
  }
  static ssize_t pull(gnutls_transport_ptr_t wire, void* into, std::size_t room) noexcept {
    return static_cast<BufferedSocket*>(wire)->take({static_cast<std::byte*>(into), room});
  }
  static int may_pull(gnutls_transport_ptr_t wire, unsigned milliseconds) noexcept {
    return static_cast<BufferedSocket*>(wire)->has_something(static_cast<int>(milliseconds)) ? 1 : 0;
  }

  BufferedSocket wire;
  std::vector<std::byte> key;
  gnutls_session_t session = nullptr;
  gnutls_psk_server_credentials_t of_server = nullptr;
  gnutls_psk_client_credentials_t of_client = nullptr;
};

SecureChannel::SecureChannel(UniqueFd socket, ChannelEnd end, std::span<const std::byte> key,
                             std::chrono::milliseconds patience)
    : socket_(std::move(socket)), patience_(patience), session_(std::make_unique<Session>(end, socket_.get(), key)) {
  using Clock = std::chrono::steady_clock;
  const auto give_up = Clock::now() + patience;
  const auto refuse = [](const char* why) {
    throw Error("the other side is none that has this key, or none of ours ({})", why);
  };
  for (bool agreed = false;;) {
    const int result = agreed ? GNUTLS_E_SUCCESS : tls().handshake(session_->session);
    bool sent = false;
    try {
      sent = session_->wire.flush();
    } catch (const Error& error) {
      refuse(error.what());
    }
    agreed = result == GNUTLS_E_SUCCESS;
    if (agreed && sent) break;
    if (!agreed && tls().error_is_fatal(result) != 0) refuse(tls().strerror(result));
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(give_up - Clock::now());
    if (left.count() <= 0) throw Error("the other side has not shown a key within {} ms", patience.count());
    if (!sent || result == GNUTLS_E_AGAIN) static_cast<void>(is_ready(!sent, left));
  }
}

SecureChannel::~SecureChannel() = default;

bool SecureChannel::is_ready(bool to_write, std::chrono::milliseconds patience) const {
  const int milliseconds = static_cast<int>(patience.count());
  if (!to_write) return session_->wire.has_something(milliseconds);
  pollfd entry{socket_.get(), POLLOUT, 0};
  return ::poll(&entry, 1, milliseconds) != 0;
}

void SecureChannel::wait_for(bool to_write) const {
  if (!is_ready(to_write, patience_)) throw Error("the other side has been silent for {} ms", patience_.count());
}

void SecureChannel::flush() {
  while (!session_->wire.flush()) wait_for(true);
}

void SecureChannel::send(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const auto taken = tls().record_send(session_->session, bytes.data(), bytes.size());
    require(static_cast<int>(taken), "the connection broke");
    bytes = bytes.subspan(static_cast<std::size_t>(taken));
    if (bytes.empty() || session_->wire.is_full()) flush();
  }
}

std::size_t SecureChannel::receive(std::span<std::byte> into) {
  for (;;) {
    const auto got = tls().record_recv(session_->session, into.data(), into.size());
    flush();  // it may have had to answer
    if (got == GNUTLS_E_AGAIN || got == GNUTLS_E_INTERRUPTED) {
      wait_for(false);
    } else if (got >= 0) {
      return static_cast<std::size_t>(got);
    } else if (tls().error_is_fatal(static_cast<int>(got)) != 0) {
      throw Error("the connection broke: {}", tls().strerror(static_cast<int>(got)));
    }
  }
}

bool SecureChannel::has_something(std::chrono::milliseconds patience) {
  return tls().record_check_pending(session_->session) > 0 || is_ready(false, patience);
}

void SecureChannel::send_line(std::string_view line) {
  std::string text(line.substr(0, kLongestLine - 1));
  std::replace(text.begin(), text.end(), '\n', ' ');
  text += '\n';
  send(std::as_bytes(std::span(text)));
}

std::string SecureChannel::receive_line() {
  std::string line;
  for (std::byte byte{}; line.size() < kLongestLine; line += static_cast<char>(byte)) {
    if (receive({&byte, 1}) == 0) throw Error("the other side has hung up");
    if (byte == std::byte{'\n'}) return line;
  }
  throw Error("the other side speaks something else");
}

void SecureChannel::shut_down() noexcept { ::shutdown(socket_.get(), SHUT_RDWR); }

}  // namespace tintype
