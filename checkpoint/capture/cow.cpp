// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/capture/cow.h"

#include <poll.h>

#include <chrono>
#include <utility>

#include "checkpoint/capture/area_size.h"
#include "vmm/base/error.h"
#include "vmm/base/thread.h"

namespace tintype {

namespace {

using Clock = std::chrono::steady_clock;

/// How far the handler preserves ahead of a fault while no other fault waits: a guest that sweeps through memory will
/// want these next.
constexpr std::size_t kReadAhead = 4;

std::uint64_t microseconds_since(Clock::time_point start) {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - start).count());
}

}  // namespace

CowCapture::CowCapture(GuestMemory& memory, MakeUserfault make_userfault)
    : memory_(memory),
      chunks_(memory),
      residency_(memory),
      make_userfault_(std::move(make_userfault)),
      states_(std::make_unique<std::atomic<State>[]>(chunks_.size())) {}

CowCapture::~CowCapture() { CowCapture::release(); }

void CowCapture::prepare(std::uint64_t area_bytes, const Cancellation& cancellation) {
  make_area(area_bytes);
  area_->prepare([&] { cancellation.throw_if_requested(); });
  buffer_.prepare();
  begin_anew();
  userfault_ = make_userfault_();
  for (const MemoryRegion& region : memory_.regions()) userfault_->watch({region.host, region.size});
  handler_ = std::thread([this] { handle_faults(); });
}

// The area of the last capture, unless another size is asked for, or a destination that hangs still has a slot of it.
void CowCapture::make_area(std::uint64_t asked) {
  if (area_ && area_.use_count() > 1) area_.reset();
  if (area_ && asked == 0) return;
  const std::uint64_t held = area_ ? area_->size() : 0;
  const std::uint64_t bytes = capture_area_bytes(asked, memory_.size(), available_host_memory() + held);
  if (bytes == held) return;
  area_.reset();
  area_ = std::make_shared<CaptureArea>(bytes, kHugePageSize);
}

void CowCapture::begin_anew() {
  for (std::size_t chunk = 0; chunk < chunks_.size(); ++chunk) states_[chunk].store(State::kHeld);
  picture_taken_ = releasing_ = handler_failed_ = false;
  faults_ = FaultLog();
  next_held_ = 0;
  pages_done_ = 0;
  report_ = {};
}

// First the picture of what is resident, then the protection. The other way round the handler would meet a fault (the
// host puts the data of a read in flight into guest memory) with no picture to copy by. What appears between the two is
// absent in the picture: it was zero at the instant, but for the read, which is asked for again at restore.
void CowCapture::protect() {
  residency_.scan();
  picture_taken_.store(true, std::memory_order_release);
  for (const MemoryRegion& region : memory_.regions()) userfault_->protect({region.host, region.size});
}

// ---- the handler of write faults ----

void CowCapture::handle_faults() noexcept {
  name_this_thread("capture-faults");
  block_signals_in_this_thread();
  const ScopedNice urgent(-15);  // vCPUs wait for this thread
  pollfd waits[] = {{userfault_->fd(), POLLIN, 0}, {stop_.fd(), POLLIN, 0}};
  while (::poll(waits, 2, -1) >= 0 || errno == EINTR) {
    if ((waits[1].revents & POLLIN) != 0) return;
    while (const auto address = userfault_->next_fault()) {
      static_cast<void>(picture_taken_.load(std::memory_order_acquire));
      const auto start = Clock::now();
      const auto chunk = chunks_.find(*address);
      if (!chunk) continue;
      handle_fault(*chunk);
      faults_.add(microseconds_since(start));
      read_ahead(*chunk);
    }
  }
}

void CowCapture::handle_fault(std::size_t chunk) noexcept {
  preserve(chunk, true);
  give_back_to_guest(chunk);
}

/// False where there was nothing to preserve, or no room for it.
bool CowCapture::preserve(std::size_t chunk, bool may_wait) noexcept {
  const State seen = states_[chunk].load();
  const bool overtakes = seen == State::kCopying;
  if (releasing_.load() || (seen != State::kHeld && !(overtakes && may_wait))) return false;
  const auto slot = may_wait ? area_->take(chunk) : area_->try_take(chunk);
  if (!slot) return false;
  // kHeld is claimed before copying, so that the writer leaves it alone. Overtaking the writer is settled after
  // copying: the chunk stays protected until one of the two has changed kCopying, so the copy is whole if we are it.
  if (!overtakes && !change(chunk, State::kHeld, State::kPreserving)) {
    area_->give_back(*slot);
    return preserve(chunk, may_wait);  // the writer came first: overtake it, or leave it
  }
  residency_.copy(chunks_[chunk], area_->memory(*slot));
  if (overtakes && !change(chunk, State::kCopying, State::kPreserved)) {
    area_->give_back(*slot);  // the writer came first after all, and releases the chunk
    return false;
  }
  if (!overtakes) states_[chunk].store(State::kPreserved);
  area_->put(*slot);
  work_.notify_one();  // the writer's patience is short, so a bell that rings too early costs a millisecond at most
  return true;
}

void CowCapture::read_ahead(std::size_t chunk) noexcept {
  pollfd wait{userfault_->fd(), POLLIN, 0};
  for (std::size_t next = chunk + 1; next <= chunk + kReadAhead && next < chunks_.size(); ++next) {
    if (!area_->mostly_free() || ::poll(&wait, 1, 0) != 0) return;
    if (preserve(next, false)) give_back_to_guest(next);
  }
}

void CowCapture::give_back_to_guest(std::size_t chunk) noexcept {
  if (userfault_->release(chunks_[chunk].bytes())) return;
  handler_failed_.store(true);  // copy_out() throws, and release() lifts all protection
  work_.notify_one();
}

// ---- the writer ----

void CowCapture::copy_out(PageSink& sink) {
  pass_over_absent_chunks(sink);
  while (pages_done_ < memory_.pages()) {
    throw_if_handler_failed();
    if (!put_preserved(sink) && !put_held(sink)) wait_for_work();
  }
  release();
  throw_if_handler_failed();
  report_.faults = faults_.count();
  report_.fault_us = faults_.summary();
  report_.capture_area_peak_bytes = area_->peak_bytes();
  report_.capture_area_waits = area_->waits();
}

void CowCapture::pass_over_absent_chunks(PageSink& sink) {
  for (std::size_t chunk = 0; chunk < chunks_.size(); ++chunk) {
    if (residency_.any(chunks_[chunk].first_page, chunks_[chunk].pages)) continue;
    if (change(chunk, State::kHeld, State::kDone)) finished(sink, chunk);
  }
}

bool CowCapture::put_preserved(PageSink& sink) {
  const auto slot = area_->next_filled();
  if (!slot) return false;
  sink.put(residency_.runs(chunks_[slot->chunk], area_->memory(*slot)), area_);
  area_->give_back(*slot);
  finished(sink, slot->chunk);
  return true;
}

bool CowCapture::put_held(PageSink& sink) {
  while (next_held_ < chunks_.size() && !change(next_held_, State::kHeld, State::kCopying)) ++next_held_;
  if (next_held_ == chunks_.size()) return false;
  const std::size_t chunk = next_held_++;
  residency_.copy(chunks_[chunk], buffer_.bytes());
  if (!change(chunk, State::kCopying, State::kDone)) return true;  // overtaken: the preserved copy is in the area
  give_back_to_guest(chunk);
  sink.put(residency_.runs(chunks_[chunk], buffer_.bytes()), buffer_.owner());
  finished(sink, chunk);
  return true;
}

// All chunks are claimed; some are still on their way into the area.
void CowCapture::wait_for_work() {
  std::unique_lock lock(work_mutex_);
  work_.wait_for(lock, std::chrono::milliseconds(1));
}

void CowCapture::throw_if_handler_failed() const {
  if (handler_failed_.load())
    throw Error("the host refused to lift write protection from guest memory: the checkpoint was given up");
}

// ---- the end, whichever way it came ----

void CowCapture::release() noexcept {
  if (!userfault_) return;
  releasing_.store(true);
  area_->close();  // a handler that waits for a slot goes on without
  for (const MemoryRegion& region : memory_.regions()) {
    static_cast<void>(userfault_->release({region.host, region.size}));
  }
  stop_.signal();
  if (handler_.joinable()) handler_.join();
  stop_.take();
  area_->offer_to_host();
  for (const MemoryRegion& region : memory_.regions()) userfault_->stop_watching({region.host, region.size});
  userfault_.reset();
}

}  // namespace tintype
