// SPDX-License-Identifier: Apache-2.0
// Exercise 6: memory of one instant, while it is written to. README.md beside it says what to do.
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <thread>
#include <vector>

namespace {

constexpr std::size_t kPage = 4096, kPages = 4096;

std::byte* memory = nullptr;   // what is captured
std::byte* picture = nullptr;  // what it was at the instant
int fault_fd = -1;

// Writes to these pages wait from now on (or, with false, no longer: whoever waits goes on).
void protect(std::size_t first, std::size_t count, bool on) {
  uffdio_writeprotect range{};
  range.range = {reinterpret_cast<std::uint64_t>(memory + first * kPage), count * kPage};
  range.mode = on ? UFFDIO_WRITEPROTECT_MODE_WP : 0;
  if (::ioctl(fault_fd, UFFDIO_WRITEPROTECT, &range) != 0) std::perror("UFFDIO_WRITEPROTECT"), std::exit(2);
}

// Called by two threads: for every page in turn, and for a page that somebody waits to write to. Afterwards the page is
// in the picture as it was at the instant, and may be written to.
void preserve(std::size_t page) {
  // YOUR PART
  (void)page;
}

int open_userfault() {
  if (const int device = ::open("/dev/userfaultfd", O_RDWR | O_CLOEXEC); device >= 0) {
    return ::ioctl(device, USERFAULTFD_IOC_NEW, O_CLOEXEC | O_NONBLOCK);
  }
  return static_cast<int>(::syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK));
}

bool watch_memory() {
  fault_fd = open_userfault();
  uffdio_api api{};
  api.api = UFFD_API;
  api.features = UFFD_FEATURE_PAGEFAULT_FLAG_WP;
  if (fault_fd < 0 || ::ioctl(fault_fd, UFFDIO_API, &api) != 0) return false;
  uffdio_register range{};
  range.range = {reinterpret_cast<std::uint64_t>(memory), kPages * kPage};
  range.mode = UFFDIO_REGISTER_MODE_WP;
  return ::ioctl(fault_fd, UFFDIO_REGISTER, &range) == 0;
}

// Serves faults until told to stop.
void serve_faults(const std::atomic<bool>& stop) {
  while (!stop) {
    pollfd ready{fault_fd, POLLIN, 0};
    if (::poll(&ready, 1, 10) <= 0) continue;
    uffd_msg message{};
    if (::read(fault_fd, &message, sizeof message) != sizeof message) continue;
    preserve((message.arg.pagefault.address - reinterpret_cast<std::uint64_t>(memory)) / kPage);
  }
}

std::uint64_t& word(std::byte* pages, std::size_t page) {
  return *reinterpret_cast<std::uint64_t*>(pages + page * kPage + 8 * (page % 512));
}

// Sets one page after the other to `value`, from the end to the start: the copier comes from the other side.
void write_all(std::uint64_t value) {
  for (std::size_t page = kPages; page-- > 0;) word(memory, page) = value;
}

std::byte* take_pages() {
  void* const pages = ::mmap(nullptr, kPages * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (pages == MAP_FAILED) std::perror("mmap"), std::exit(2);
  return static_cast<std::byte*>(pages);
}

}  // namespace

int main() {
  memory = take_pages();
  picture = take_pages();
  if (!watch_memory()) return std::puts("skip: this host does not let us write-protect memory (userfaultfd)"), 77;
  std::setvbuf(stdout, nullptr, _IONBF, 0);
  for (std::uint64_t instant = 1; instant <= 20; ++instant) {
    write_all(instant);
    protect(0, kPages, true);  // the instant
    std::atomic<bool> stop = false;
    std::thread handler([&] { serve_faults(stop); });
    std::thread guest([&] { write_all(instant + 100); });
    for (std::size_t page = 0; page < kPages; ++page) preserve(page);
    guest.join();
    stop = true;
    handler.join();
    for (std::size_t page = 0; page < kPages; ++page) {
      if (word(picture, page) != instant)
        return std::printf("instant %d: the picture has %d\n", static_cast<int>(instant),
                           static_cast<int>(word(picture, page))),
               1;
      if (word(memory, page) != instant + 100) return std::puts("a write was lost"), 1;
    }
  }
  std::puts("20 instants, each whole, and no write was lost");
}
