// SPDX-License-Identifier: Apache-2.0
#include "vmm/machine/harness.h"

#include <fcntl.h>
#include <unistd.h>

#include <linux/futex.h>
#include <sys/syscall.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <exception>
#include <utility>

#include "vmm/base/error.h"
#include "vmm/base/io.h"
#include "vmm/base/log.h"
#include "vmm/base/thread.h"

namespace tintype {

namespace {

constexpr timespec kLook{0, 20'000'000};  // how often somebody who waits looks whether the machine has ended

/// Its end cannot be cut off while it is mapped.
Mapping map_area(const std::filesystem::path& file) {
  const UniqueFd fd(::open(file.c_str(), O_RDWR | O_CLOEXEC));
  if (!fd) {
    throw Error("the area {} cannot be opened ({}): name the one that tintype_harness_open() made", file.string(),
                errno_text(errno));
  }
  const int seals = ::fcntl(fd.get(), F_GET_SEALS);
  if (seals < 0 || (seals & F_SEAL_SHRINK) == 0 || file_size(fd.get(), file.string()) < sizeof(tintype_area))
    throw Error("{} is no area of a harness: let tintype_harness_open() make one (tools/harness/README.md)",
                file.string());
  return Mapping::of_fd(fd.get(), sizeof(tintype_area));
}

std::atomic_ref<std::uint32_t> turn_of(tintype_area& area) { return std::atomic_ref<std::uint32_t>(area.turn); }

}  // namespace

// ---- the area ----

HarnessArea::HarnessArea(const std::filesystem::path& file)
    : mapping_(map_area(file)), area_(*reinterpret_cast<tintype_area*>(mapping_.data())) {
  if (area_.magic != TINTYPE_AREA_MAGIC) throw Error("{} is an area of another version", file.string());
}

std::chrono::milliseconds HarnessArea::timeout() const noexcept {
  return std::chrono::milliseconds(std::atomic_ref<std::uint32_t>(area_.timeout_ms).load());
}

void HarnessArea::tell(std::uint64_t result, const ResetReport& reset, std::uint64_t nanoseconds) noexcept {
  area_.result = result;
  area_.resets = reset.resets;
  area_.pages = reset.pages;
  area_.reset_ns = nanoseconds;
  turn_of(area_).store(TINTYPE_TURN_PROGRAM, std::memory_order_release);
  ::syscall(SYS_futex, &area_.turn, FUTEX_WAKE, 1, nullptr, nullptr, 0);
}

bool HarnessArea::wait() noexcept {
  const auto is_ours = [this] { return turn_of(area_).load(std::memory_order_acquire) != TINTYPE_TURN_PROGRAM; };
  if (is_ours()) return true;
  ::syscall(SYS_futex, &area_.turn, FUTEX_WAIT, TINTYPE_TURN_PROGRAM, &kLook, nullptr, 0);
  return is_ours();
}

std::span<const std::byte> HarnessArea::input() const noexcept {
  const std::uint64_t length = std::atomic_ref<std::uint64_t>(area_.length).load();
  return std::as_bytes(std::span(area_.input)).first(std::min<std::uint64_t>(length, sizeof area_.input));
}

// ---- the thread ----

Harness::Harness(GuestMemory& memory, Work work) : memory_(memory), work_(std::move(work)) {}

Harness::~Harness() { stop(); }

void Harness::stop() noexcept {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
  if (const auto told = std::exchange(area_, nullptr)) told->tell(TINTYPE_RESULT_ENDED, {}, 0);
}

void Harness::post(std::uint32_t address) noexcept {
  const std::lock_guard lock(mutex_);
  if (stopping_) return;
  posted_ = address;
  if (!thread_.joinable()) thread_ = std::thread([this] { main(); });
  changed_.notify_all();
}

void Harness::attach(const std::filesystem::path& file) {
  auto area = std::make_shared<HarnessArea>(file);
  const std::lock_guard lock(mutex_);
  area_ = std::move(area);
}

std::shared_ptr<HarnessArea> Harness::area() {
  const std::lock_guard lock(mutex_);
  return area_;
}

bool Harness::stopping() {
  const std::lock_guard lock(mutex_);
  return stopping_;
}

void Harness::main() noexcept {
  name_this_thread("harness");
  block_signals_in_this_thread();
  bool late = false;
  for (auto address = next(late); address || late; address = next(late)) {
    try {
      late ? reset(TINTYPE_RESULT_TIMEOUT) : serve(*address);
    } catch (const std::exception& failure) {
      if (!stopping()) log_note("what the guest asked of its harness port could not be done: {}", failure.what());
    }
  }
}

/// The next request; or nothing, where the guest is `late`, or all of it ends.
std::optional<std::uint32_t> Harness::next(bool& late) {
  std::unique_lock lock(mutex_);
  late = false;
  const auto ready = [this] { return stopping_ || posted_; };
  const auto limit = area_ && runs_input_ ? area_->timeout() : std::chrono::milliseconds(0);
  if (limit.count() == 0) {
    changed_.wait(lock, ready);
  } else {
    late = !changed_.wait_for(lock, limit, ready);
  }
  if (stopping_) late = false;
  return stopping_ ? std::nullopt : std::exchange(posted_, std::nullopt);
}

void Harness::serve(std::uint32_t address) {
  const auto request = memory_.load<tintype_request>(Gpa(address));
  if (!request || request->magic != TINTYPE_REQUEST_MAGIC) return;
  if (request->command == TINTYPE_COMMAND_MARK) mark(address, *request);
  if (request->command == TINTYPE_COMMAND_RESET && marked_) reset(request->result);
}

// The mark is set before the request is answered: each reset finds it open, and answers it again.
void Harness::mark(std::uint32_t address, const tintype_request& request) {
  marked_ = address;
  request_ = request;
  if (const auto to = area()) to->tell(0, {}, 0);
  if (!await_input()) return;
  work_.mark([this] { hand_over(); });
}

// The guest waits for its answer meanwhile; whoever asks for anything else of the machine is not kept waiting.
void Harness::reset(std::uint64_t result) {
  runs_input_ = false;
  if (const auto to = area()) to->tell(result, last_, last_ns_);
  if (!await_input()) return;
  const auto start = std::chrono::steady_clock::now();
  last_ = work_.reset([this] { hand_over(); });
  last_ns_ = static_cast<std::uint64_t>((std::chrono::steady_clock::now() - start).count());
}

/// False where the machine ends. Without a program there is none to wait for.
bool Harness::await_input() {
  while (!stopping()) {
    const auto from = area();
    if (from == nullptr || from->wait()) return true;
  }
  return false;
}

void Harness::hand_over() noexcept {
  const auto from = area();
  const auto input = from ? from->input() : std::span<const std::byte>();
  const std::uint64_t length = std::min<std::uint64_t>(input.size(), request_.capacity);
  const bool there = memory_.write(Gpa(request_.buffer), input.first(length));
  const auto at = [&](std::size_t offset) { return Gpa(*marked_ + offset); };
  static_cast<void>(memory_.store(at(offsetof(tintype_request, length)), there ? length : std::uint64_t{0}));
  static_cast<void>(memory_.store(at(offsetof(tintype_request, done)), std::uint32_t{1}));
  runs_input_ = true;
}

}  // namespace tintype
