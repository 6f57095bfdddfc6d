// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/standby/secure_channel.h"

#include <poll.h>

#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "checkpoint/standby/late_gnutls.h"
#include "vmm/base/error.h"

namespace tintype {

namespace {

constexpr const char* kPriority = "NORMAL:-VERS-ALL:+VERS-TLS1.3:-KX-ALL:+ECDHE-PSK:+DHE-PSK:%NO_TICKETS";
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

/// What is GnuTLS's, and the key while it is in use.
struct SecureChannel::Session {
  Session(ChannelEnd end, int socket, std::span<const std::byte> shared) : key(shared.begin(), shared.end()) {
    const bool server = end == ChannelEnd::kServer;
    require(tls().init(&session, (server ? GNUTLS_SERVER : GNUTLS_CLIENT) | GNUTLS_NO_SIGNAL), "gnutls_init");
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
    tls().transport_set_int2(session, socket, socket);
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

  std::vector<std::byte> key;
  gnutls_session_t session = nullptr;
  gnutls_psk_server_credentials_t of_server = nullptr;
  gnutls_psk_client_credentials_t of_client = nullptr;
};

SecureChannel::SecureChannel(UniqueFd socket, ChannelEnd end, std::span<const std::byte> key,
                             std::chrono::milliseconds patience)
    : socket_(std::move(socket)), patience_(patience), session_(std::make_unique<Session>(end, socket_.get(), key)) {
  using Clock = std::chrono::steady_clock;
  for (const auto end = Clock::now() + patience;;) {
    const int result = tls().handshake(session_->session);
    if (result == GNUTLS_E_SUCCESS) break;
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now());
    if (left.count() <= 0) throw Error("the other side has not shown a key within {} ms", patience.count());
    if (result == GNUTLS_E_AGAIN || result == GNUTLS_E_INTERRUPTED) {
      is_ready(tls().record_get_direction(session_->session) == 1, left);
    } else if (tls().error_is_fatal(result) != 0) {
      throw Error("the other side is none that has this key, or none of ours ({})", tls().strerror(result));
    }
  }
}

SecureChannel::~SecureChannel() = default;

bool SecureChannel::is_ready(bool to_write, std::chrono::milliseconds patience) const {
  pollfd entry{socket_.get(), static_cast<short>(to_write ? POLLOUT : POLLIN), 0};
  return ::poll(&entry, 1, static_cast<int>(patience.count())) != 0;
}

void SecureChannel::wait_for(bool to_write) const {
  if (!is_ready(to_write, patience_)) throw Error("the other side has been silent for {} ms", patience_.count());
}

void SecureChannel::send(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const auto sent = tls().record_send(session_->session, bytes.data(), bytes.size());
    if (sent == GNUTLS_E_AGAIN || sent == GNUTLS_E_INTERRUPTED) {
      wait_for(true);
    } else {
      require(static_cast<int>(sent), "the connection broke");
      bytes = bytes.subspan(static_cast<std::size_t>(sent));
    }
  }
}

std::size_t SecureChannel::receive(std::span<std::byte> into) {
  for (;;) {
    const auto got = tls().record_recv(session_->session, into.data(), into.size());
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
  if (tls().record_check_pending(session_->session) > 0) return true;
  pollfd entry{socket_.get(), POLLIN, 0};
  return ::poll(&entry, 1, static_cast<int>(patience.count())) == 1;
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
