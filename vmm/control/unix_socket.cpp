// SPDX-License-Identifier: Apache-2.0
#include "vmm/control/unix_socket.h"

#include <fcntl.h>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <string>

#include "vmm/base/error.h"

namespace tintype {

namespace {

/// The address of a socket file. A path that is too long for it (108 bytes) goes by way of a descriptor of its
/// directory.
struct Address {
  explicit Address(const std::filesystem::path& path) {
    socket_address.sun_family = AF_UNIX;
    std::string text = path.string();
    if (text.size() >= sizeof socket_address.sun_path) {
      directory.reset(::open(path.parent_path().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
      text = fmt::format("/proc/self/fd/{}/{}", directory.get(), path.filename().string());
    }
    text.copy(socket_address.sun_path, sizeof socket_address.sun_path - 1);
  }
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&socket_address); }

  sockaddr_un socket_address{};
  UniqueFd directory;
};

}  // namespace

UniqueFd listen_on_unix_socket(const std::filesystem::path& path) {
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) throw_errno("socket(AF_UNIX)");
  const Address address(path);
  ::fchmod(fd.get(), 0600);  // before bind: the file never exists with wider permissions
  if (::bind(fd.get(), address.get(), sizeof address.socket_address) != 0) throw_errno("bind {}", path.string());
  if (::chmod(path.c_str(), 0600) != 0) throw_errno("chmod {}", path.string());
  if (::listen(fd.get(), 128) != 0) throw_errno("listen on {}", path.string());
  return fd;
}

UniqueFd connect_to_unix_socket(const std::filesystem::path& path) {
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) return fd;
  const Address address(path);
  if (::connect(fd.get(), address.get(), sizeof address.socket_address) != 0) {
    const int failure = errno;
    fd.reset();
    errno = failure;
  }
  return fd;
}

}  // namespace tintype
