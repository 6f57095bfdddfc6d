// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/capture/cow.h"

#include <poll.h>

#include <chrono>
#include <cstring>

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

CowCapture::CowCapture(GuestMemory& memory, std::uint64_t capture_area_bytes)
    : memory_(memory),
      chunks_(memory),
      residency_(memory),
      area_bytes_(capture_area_bytes),
      states_(std::make_unique<std::atomic<State>[]>(chunks_.size())) {}

CowCapture::~CowCapture() { release(); }

void CowCapture::prepare() {
  area_ = std::make_unique<CaptureArea>(area_bytes_, kHugePageSize);
  userfault_ = std::make_unique<Userfault>();
  for (const MemoryRegion& region : memory_.regions()) userfault_->watch({region.host, region.size});
  handler_ = std::thread([this] { handle_faults(); });
}

// Protection first, then the picture of what is resident: the machine stands still, so nothing changes in between.
void CowCapture::protect() {
  for (const MemoryRegion& region : memory_.regions()) userfault_->protect({region.host, region.size});
  residency_.scan();
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
  const bool overtakes = seen == State::kWriting;
  if (releasing_.load() || (seen != State::kHeld && !(overtakes && may_wait))) return false;
  const auto slot = may_wait ? area_->take(chunk) : area_->try_take(chunk);
  if (!slot) return false;
  // kHeld is claimed before copying, so that the writer leaves it alone. Overtaking the writer is settled after
  // copying: the chunk stays protected until one of the two has changed kWriting, so the copy is whole if we are the
  // one.
  if (!overtakes && !change(chunk, State::kHeld, State::kPreserving)) {
    area_->give_back(*slot);
    return preserve(chunk, may_wait);  // the writer came first: overtake it, or leave it
  }
  copy_resident(chunks_[chunk], area_->memory(*slot));
  if (overtakes && !change(chunk, State::kWriting, State::kPreserved)) {
    area_->give_back(*slot);  // the writer finished meanwhile and has released the chunk
    return false;
  }
  if (!overtakes) states_[chunk].store(State::kPreserved);
  area_->put(*slot);
  work_
      .notify_one();  // the writer waits with a short limit, so a bell that rings too early costs a millisecond at most
  return true;
}

void CowCapture::read_ahead(std::size_t chunk) noexcept {
  pollfd wait{userfault_->fd(), POLLIN, 0};
  for (std::size_t next = chunk + 1; next <= chunk + kReadAhead && next < chunks_.size(); ++next) {
    if (!area_->mostly_free() || ::poll(&wait, 1, 0) != 0) return;
    if (preserve(next, false)) give_back_to_guest(next);
  }
}

void CowCapture::copy_resident(const Chunk& chunk, std::span<std::byte> into) const noexcept {
  residency_.for_each_run(chunk.first_page, chunk.pages, [&](std::uint64_t page, std::uint64_t count) {
    const std::uint64_t offset = (page - chunk.first_page) * kPageSize;
    std::memcpy(into.data() + offset, chunk.host + offset, count * kPageSize);
  });
}

void CowCapture::give_back_to_guest(std::size_t chunk) noexcept {
  if (userfault_->release(chunks_[chunk].bytes())) return;
  handler_failed_.store(true);  // copy_out() throws, and release() lifts all protection
  work_.notify_one();
}

// ---- the writer ----

void CowCapture::copy_out(PartWriter& part, const ProgressSink& progress) {
  const ScopedNice patient(
      10);  // nobody waits for this one, and it must not hold up a vCPU that has just been released
  ChunkWriter writer(part, residency_, memory_.pages(), progress);
  mark_absent_chunks();
  while (pages_done_ < memory_.pages()) {
    throw_if_handler_failed();
    if (!write_preserved(writer) && !write_held(writer)) wait_for_work();
    writer.tell_progress(pages_done_);
  }
  release();
  throw_if_handler_failed();
  report_ = writer.report();
  report_.faults = faults_.count();
  report_.fault_us = faults_.summary();
  report_.capture_area_peak_bytes = area_->peak_bytes();
  report_.capture_area_waits = area_->waits();
}

void CowCapture::mark_absent_chunks() {
  for (std::size_t chunk = 0; chunk < chunks_.size(); ++chunk) {
    if (residency_.any(chunks_[chunk].first_page, chunks_[chunk].pages)) continue;
    if (change(chunk, State::kHeld, State::kDone)) finished(chunks_[chunk].pages);
  }
}

bool CowCapture::write_preserved(ChunkWriter& writer) {
  const auto slot = area_->next_filled();
  if (!slot) return false;
  const Chunk& chunk = chunks_[slot->chunk];
  writer.keep(writer.write(chunk, area_->memory(*slot).first(chunk.pages * kPageSize)));
  area_->give_back(*slot);
  finished(chunk.pages);
  return true;
}

bool CowCapture::write_held(ChunkWriter& writer) {
  while (next_held_ < chunks_.size() && !change(next_held_, State::kHeld, State::kWriting)) ++next_held_;
  if (next_held_ == chunks_.size()) return false;
  const std::size_t chunk = next_held_++;
  const auto written = writer.write(chunks_[chunk], chunks_[chunk].bytes());
  if (change(chunk, State::kWriting, State::kDone)) {
    give_back_to_guest(chunk);
    writer.keep(written);
    finished(chunks_[chunk].pages);
  } else {
    writer.take_back(written);  // overtaken: the preserved copy is in the area
  }
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
  for (const MemoryRegion& region : memory_.regions()) userfault_->stop_watching({region.host, region.size});
  userfault_.reset();
}

}  // namespace tintype
