// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/tracking/userfault.h"

#include <fcntl.h>

#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#include <cerrno>

#include "vmm/base/error.h"
#include "vmm/memory/gpa.h"

namespace tintype {

namespace {

// Names that Debian 12's headers lack.
constexpr std::uint64_t kFeatureWpUnpopulated = 1 << 13;  // UFFD_FEATURE_WP_UNPOPULATED
constexpr std::uint64_t kFeatureWpAsync = 1 << 15;        // UFFD_FEATURE_WP_ASYNC
constexpr std::uint64_t kFeatureMove = 1 << 16;           // UFFD_FEATURE_MOVE
constexpr int kUserModeOnly = 1;                          // UFFD_USER_MODE_ONLY
constexpr unsigned long kDeviceNew = _IO(0xAA, 0x00);     // USERFAULTFD_IOC_NEW on /dev/userfaultfd

struct MoveRequest {  // uffdio_move, Linux 6.8
  std::uint64_t to, from, length, mode;
  std::int64_t moved;
};
#define TINTYPE_UFFDIO_MOVE _IOWR(UFFDIO, 0x05, MoveRequest)

constexpr auto kRemedy =
    "run as root, or `sysctl vm.unprivileged_userfaultfd=1`, or give yourself access to /dev/userfaultfd";

/// The device first: its permissions are the modern way to allow faults taken inside the kernel.
UniqueFd open_userfault() noexcept {
  UniqueFd device(::open("/dev/userfaultfd", O_RDWR | O_CLOEXEC));
  if (device) {
    UniqueFd fd(::ioctl(device.get(), kDeviceNew, O_CLOEXEC | O_NONBLOCK));
    if (fd) return fd;
  }
  return UniqueFd(static_cast<int>(::syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK)));
}

bool agree_on(int fd, std::uint64_t features, uffdio_api& api) noexcept {
  api = {};
  api.api = UFFD_API;
  api.features = features;
  return ::ioctl(fd, UFFDIO_API, &api) == 0;
}

uffdio_range range_of(std::span<std::byte> range) noexcept {
  return {.start = reinterpret_cast<std::uint64_t>(range.data()), .len = range.size()};
}

void watch(int fd, std::span<std::byte> range, std::uint64_t mode) {
  uffdio_register request{};
  request.range = range_of(range);
  request.mode = mode;
  if (::ioctl(fd, UFFDIO_REGISTER, &request) != 0)
    throw_errno("UFFDIO_REGISTER of {} bytes of guest memory", range.size());
}

bool write_protect(int fd, std::span<std::byte> range, bool on) noexcept {
  uffdio_writeprotect request{};
  request.range = range_of(range);
  request.mode = on ? UFFDIO_WRITEPROTECT_MODE_WP : 0;
  int result = 0;
  do {
    result = ::ioctl(fd, UFFDIO_WRITEPROTECT, &request);
  } while (result != 0 && (errno == EAGAIN || errno == EINTR));
  return result == 0;
}

}  // namespace

UserfaultSupport probe_userfault() {
  const UniqueFd fd = open_userfault();
  if (!fd && errno == ENOSYS) return {.problem = "this kernel has no userfaultfd: use one with CONFIG_USERFAULTFD=y"};
  if (!fd) return {.problem = fmt::format("userfaultfd is not permitted ({}): {}", errno_text(errno), kRemedy)};
  uffdio_api api;
  if (!agree_on(fd.get(), 0, api)) return {.problem = "userfaultfd of this kernel speaks another version of its API"};
  UserfaultSupport support;
  support.missing_pages = true;
  support.write_protect = (api.features & UFFD_FEATURE_PAGEFAULT_FLAG_WP) != 0;
  support.unpopulated = (api.features & kFeatureWpUnpopulated) != 0;
  if (!support.write_protect)
    support.problem = "userfaultfd of this kernel cannot write-protect: use Linux 5.7 or newer on x86";
  return support;
}

AsyncUserfault::AsyncUserfault()
    : fd_(static_cast<int>(::syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | kUserModeOnly))) {
  if (!fd_) throw_errno("userfaultfd");
  uffdio_api api;
  if (!agree_on(fd_.get(), kFeatureWpAsync, api)) throw_errno("userfaultfd that tells nobody (Linux 6.7)");
}

void AsyncUserfault::watch(std::span<std::byte> range) const {
  tintype::watch(fd_.get(), range, UFFDIO_REGISTER_MODE_WP);
}

void AsyncUserfault::stop_watching(std::span<std::byte> range) const noexcept {
  uffdio_range request = range_of(range);
  ::ioctl(fd_.get(), UFFDIO_UNREGISTER, &request);
}

void AsyncUserfault::release(std::span<std::byte> range) const noexcept { write_protect(fd_.get(), range, false); }

Userfault::Userfault(FaultKind kind) : kind_(kind), fd_(open_userfault()) {
  const char* const instead = kind == FaultKind::kWrites ? "--strategy stop" : "--memory-load eager";
  if (!fd_) throw Error("userfaultfd is not permitted ({}): {}, or choose {}", errno_text(errno), kRemedy, instead);
  uffdio_api api;
  if (kind == FaultKind::kMissing) {
    moves_ = agree_on(fd_.get(), UFFD_FEATURE_THREAD_ID | kFeatureMove, api);
    if (!moves_) fd_ = open_userfault();  // it is agreed on once
    if (!moves_ && !agree_on(fd_.get(), UFFD_FEATURE_THREAD_ID, api)) {
      throw Error("userfaultfd of this kernel is too old ({}): use Linux 4.14 or newer, or choose {}",
                  errno_text(errno), instead);
    }
  } else if (!agree_on(fd_.get(), UFFD_FEATURE_PAGEFAULT_FLAG_WP, api)) {
    throw Error("userfaultfd of this kernel cannot write-protect ({}): use Linux 5.7 or newer on x86, or choose {}",
                errno_text(errno), instead);
  }
}

void Userfault::watch(std::span<std::byte> range) {
  tintype::watch(fd_.get(), range,
                 kind_ == FaultKind::kWrites ? UFFDIO_REGISTER_MODE_WP : UFFDIO_REGISTER_MODE_MISSING);
}

void Userfault::stop_watching(std::span<std::byte> range) noexcept {
  uffdio_range request = range_of(range);
  ::ioctl(fd_.get(), UFFDIO_UNREGISTER, &request);
}

void Userfault::protect(std::span<std::byte> range) {
  if (!write_protect(fd_.get(), range, true))
    throw_errno("UFFDIO_WRITEPROTECT of {} bytes of guest memory", range.size());
}

bool Userfault::release(std::span<std::byte> range) noexcept { return write_protect(fd_.get(), range, false); }

bool Userfault::fill(std::span<std::byte> range, std::span<std::byte> from) noexcept {
  std::size_t done = moves_ ? move(range, from) : 0;
  if (done == range.size()) return true;
  while (done < range.size()) {  // what could not be moved
    uffdio_copy request{};
    request.dst = range_of(range).start + done;
    request.src = range_of(from).start + done;
    request.len = range.size() - done;
    if (::ioctl(fd_.get(), UFFDIO_COPY, &request) == 0) break;
    const int error = errno;
    done += request.copy > 0 ? static_cast<std::size_t>(request.copy) : 0;
    if (error == EEXIST) {
      done += kPageSize;
    } else if (error != EAGAIN && error != EINTR) {
      return false;
    }
  }
  uffdio_range all = range_of(range);
  return ::ioctl(fd_.get(), UFFDIO_WAKE, &all) == 0;
}

/// How many bytes, from the first one on, went the fast way.
std::size_t Userfault::move(std::span<std::byte> range, std::span<std::byte> from) noexcept {
  std::size_t done = 0;
  while (done < range.size()) {
    MoveRequest request{range_of(range).start + done, range_of(from).start + done, range.size() - done, 0, 0};
    const bool moved = ::ioctl(fd_.get(), TINTYPE_UFFDIO_MOVE, &request) == 0;
    const int error = errno;
    if (request.moved > 0) done += static_cast<std::size_t>(request.moved);
    if (!moved && error != EAGAIN && error != EINTR) break;
  }
  return done;
}

std::optional<Fault> Userfault::next_fault() noexcept {
  uffd_msg message;
  for (;;) {
    const auto count = ::read(fd_.get(), &message, sizeof message);
    if (count < 0 && errno == EINTR) continue;
    if (count != sizeof message) return std::nullopt;
    if (message.event == UFFD_EVENT_PAGEFAULT)
      return Fault{message.arg.pagefault.address, message.arg.pagefault.feat.ptid, std::chrono::steady_clock::now()};
  }
}

}  // namespace tintype
