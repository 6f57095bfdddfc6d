// SPDX-License-Identifier: Apache-2.0
#include <poll.h>
#include <unistd.h>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>
#include <string_view>

#include "devices/serial_endpoint.h"
#include "vmm/base/error.h"
#include "vmm/base/unique_fd.h"

namespace tintype {
namespace {

constexpr std::string_view kBusy = "tintype: somebody else is connected to this serial port\r\n";

sockaddr_un address_of(const std::filesystem::path& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string& text = path.native();
  if (text.empty() || text.size() >= sizeof address.sun_path) {
    throw Error("the path of a serial socket has 1 to {} bytes, and \"{}\" has {}; choose a shorter one",
                sizeof address.sun_path - 1, text, text.size());
  }
  text.copy(address.sun_path, text.size());
  return address;
}

UniqueFd new_socket() {
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) throw_errno("socket of a serial port");
  return fd;
}

const sockaddr* generic(const sockaddr_un& address) { return reinterpret_cast<const sockaddr*>(&address); }

/// Makes room for our socket: removes one whose owner is dead, and nothing else.
void remove_dead_socket(const std::filesystem::path& path, const sockaddr_un& address) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) return;
  if (!S_ISSOCK(info.st_mode)) {
    throw Error("{} exists and is not a socket; choose another path for the serial port, or remove it", path.string());
  }
  const UniqueFd probe = new_socket();
  if (::connect(probe.get(), generic(address), sizeof address) == 0 || errno != ECONNREFUSED) {
    throw Error("{} belongs to a running program; choose another path for the serial port", path.string());
  }
  ::unlink(path.c_str());
}

/// True where the other side has closed its socket altogether.
bool has_gone(int fd) noexcept {
  pollfd polled{.fd = fd, .events = 0, .revents = 0};
  return ::poll(&polled, 1, 0) == 1;
}

class UnixEndpoint final : public SerialEndpoint {
 public:
  explicit UnixEndpoint(const std::filesystem::path& path);
  ~UnixEndpoint() override;

  int input_fd() const noexcept override { return input_ended_ ? -1 : client_.get(); }
  int output_fd() const noexcept override { return client_.get(); }
  int accept_fd() const noexcept override { return listener_.get(); }
  bool may_lose_output() const noexcept override { return true; }
  void accept() noexcept override;
  std::size_t read(std::span<std::uint8_t> into) noexcept override;
  std::size_t write(std::span<const std::uint8_t> bytes) noexcept override;

 private:
  std::filesystem::path path_;
  UniqueFd listener_ = new_socket();
  ino_t inode_ = 0;  ///< of our socket file, so that we do not remove a successor's
  UniqueFd client_;
  bool input_ended_ = false;  ///< the client sends no more but may still read, as `echo ls | nc -NU` does
};

UnixEndpoint::UnixEndpoint(const std::filesystem::path& path) : path_(path) {
  const sockaddr_un address = address_of(path);
  remove_dead_socket(path, address);
  ::fchmod(listener_.get(), 0600);  // before bind(), so that it is never open to others
  if (::bind(listener_.get(), generic(address), sizeof address) != 0) {
    const int error = errno;
    throw Error("cannot create the serial socket {}: {}; choose a path that you can write to", path.string(),
                errno_text(error));
  }
  struct stat info {};
  if (::lstat(path.c_str(), &info) == 0) inode_ = info.st_ino;
  if (::listen(listener_.get(), 4) != 0) throw_errno("listen on {}", path.string());
}

UnixEndpoint::~UnixEndpoint() {
  struct stat info {};
  if (::lstat(path_.c_str(), &info) == 0 && info.st_ino == inode_) ::unlink(path_.c_str());
}

void UnixEndpoint::accept() noexcept {
  if (client_ && has_gone(client_.get())) client_.reset();
  UniqueFd newcomer(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!newcomer) return;
  if (!client_) {
    client_ = std::move(newcomer);
    input_ended_ = false;
  } else {
    [[maybe_unused]] const auto sent = ::send(newcomer.get(), kBusy.data(), kBusy.size(), MSG_NOSIGNAL);
  }
}

std::size_t UnixEndpoint::read(std::span<std::uint8_t> into) noexcept {
  const auto count = ::recv(client_.get(), into.data(), into.size(), 0);
  if (count > 0) return static_cast<std::size_t>(count);
  if (count < 0 && (errno == EINTR || errno == EAGAIN)) return 0;
  input_ended_ = true;
  if (has_gone(client_.get())) client_.reset();
  return 0;
}

std::size_t UnixEndpoint::write(std::span<const std::uint8_t> bytes) noexcept {
  const auto count = ::send(client_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
  if (count >= 0) return static_cast<std::size_t>(count);
  if (errno != EINTR && errno != EAGAIN) client_.reset();  // has gone; the next client gets these bytes
  return 0;
}

}  // namespace

std::unique_ptr<SerialEndpoint> make_unix_endpoint(const std::filesystem::path& path) {
  return std::make_unique<UnixEndpoint>(path);
}

}  // namespace tintype
