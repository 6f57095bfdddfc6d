// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/capture/engine.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "checkpoint/capture/area_size.h"
#include "vmm/base/error.h"
#include "vmm/base/thread_sanitizer.h"

namespace tintype {

namespace {

using namespace std::chrono_literals;

/// Room beside what was written when the capture began. Between captures nothing of the area is kept, but where they
/// follow each other closely, and then for as long as the next one may do so.
constexpr std::uint64_t kSpareRoom = 4 * kHugePageSize;
constexpr auto kClosely = 2s;

/// Copying ahead ends when so little is left, or a round leaves more than half of what it found.
constexpr std::size_t kFewChunks = 8;
constexpr std::uint64_t kMostRounds = 8;

/// Whether these pages of a chunk, which may be written to meanwhile, are as `contents` has them.
bool holds(const Chunk& chunk, const PageSet& pages, std::span<const std::byte> contents) {
  bool same = true;
  pages.for_each_run(chunk.first_page, chunk.pages, [&](std::uint64_t page, std::uint64_t count) {
    const std::uint64_t offset = (page - chunk.first_page) * kPageSize;
    const OrderedByKernel protected_memory;  // a write meanwhile is noted by the protection
    same = same && std::memcmp(chunk.host + offset, contents.data() + offset, count * kPageSize) == 0;
  });
  return same;
}

/// As if each page had been written to, without changing any.
void populate(std::span<std::byte> pages) {
  constexpr int kPopulateWrite = 23;  // MADV_POPULATE_WRITE, Linux 5.14
  if (::madvise(pages.data(), pages.size(), kPopulateWrite) != 0) throw_errno("madvise(MADV_POPULATE_WRITE)");
}

}  // namespace

CaptureEngine::CaptureEngine(const GuestMemory& memory, MakeUserfault make_userfault, Tracking tracking)
    : memory_(memory),
      tracking_(tracking),
      tracker_(make_tracker(tracking, memory, std::move(make_userfault))),
      hashes_(tracker_->chunks()),
      since_last_(kClosely, [this] { let_memory_go(); }) {}

void CaptureEngine::prepare(const CaptureRequest& request, Need need, const Cancellation& cancellation) {
  since_last_.stop();
  start(need);
  everything_ = request.everything || !knows_what_was_written();
  report_ = {};
  to_put_ = 0;
  precopied_.clear();
  hashes_.forget();
  make_area(request.area_bytes);
  tracker_->begin(everything_, *area_);
  const std::uint64_t most = need == Need::kHold ? tracker_->written() * kHugePageSize + kSpareRoom : 0;
  area_->prepare(std::min(area_->size(), most), [&] { cancellation.throw_if_requested(); });
  tracker_->arm();
}

void CaptureEngine::start(Need need) {
  tracker_->start();
  const auto instead = [](const std::string& problem) {
    return Error("{}, or choose --strategy stop, or fork", problem);
  };
  if (need == Need::kHold && tracking_ != Tracking::kProtection) throw instead(probe_tracking().cannot_hold);
  if (need == Need::kKnow && !tracker_->knows()) throw instead(probe_tracking().cannot_know);
}

// The area of the last capture, unless that was asked for another size, or a destination that hangs still has a slot of
// it.
void CaptureEngine::make_area(std::uint64_t asked) {
  if (area_ && area_.use_count() > 1) area_.reset();
  const bool as_before = asked == std::exchange(area_asked_, asked);
  if (area_ && as_before) return;
  const std::uint64_t held = area_ ? area_->size() : 0;
  const std::uint64_t bytes = capture_area_bytes(asked, memory_.size(), available_host_memory() + held);
  if (bytes == held) return;
  area_.reset();
  area_ = std::make_shared<CaptureArea>(bytes, kHugePageSize);
}

// ---- ahead of the pause ----

void CaptureEngine::precopy(PageSink& sink) {
  std::size_t found = tracker_->written();
  sink.expect(found * (kHugePageSize / kPageSize));
  while (report_.rounds < kMostRounds && found > kFewChunks) {
    precopy_round(sink);
    ++report_.rounds;
    const std::size_t left = tracker_->written();
    if (left > found / 2) break;
    found = left;
  }
}

void CaptureEngine::precopy_round(PageSink& sink) {
  while (const auto chunk = tracker_->claim_written()) {
    throw_if_failed();
    const CopyBuffers::Buffer buffer = buffers_.take();
    copy_pages(tracker_->claimed(), tracker_->chunks()[*chunk], *buffer);
    if (tracker_->still_clean(*chunk)) precopied_[*chunk] = put(*chunk, *buffer, buffer, sink);
  }
}

// ---- the instant, and after it ----

void CaptureEngine::freeze(bool copied_elsewhere) { to_put_ = tracker_->freeze(copied_elsewhere); }

void CaptureEngine::drain(PageSink& sink, const Read& read) {
  sink.expect(to_put_ * (kHugePageSize / kPageSize));
  while (to_put_ > 0) {
    throw_if_failed();
    if (!put_preserved(sink) && !put_held(sink, read)) area_->wait_for_filled(1ms);
  }
  throw_if_failed();
  area_->close();  // who waits for a slot needs none any more
  const FaultLog faults = tracker_->faults();
  report_.faults = faults.count();
  report_.fault_us = {faults.percentile(0.5), faults.percentile(0.99), faults.longest()};
  report_.capture_area_peak_bytes = area_->peak_bytes();
  report_.capture_area_waits = faults.put_off();
}

bool CaptureEngine::put_preserved(PageSink& sink) {
  const auto slot = area_->next_filled();
  if (!slot) return false;
  const auto memory = area_->memory(*slot);
  put(slot->chunk, memory, {memory.data(), [area = area_, slot = *slot](const void*) { area->give_back(slot); }}, sink);
  --to_put_;
  return true;
}

bool CaptureEngine::put_held(PageSink& sink, const Read& read) {
  const auto chunk = tracker_->claim_held();
  if (!chunk) return false;
  const CopyBuffers::Buffer buffer = buffers_.take();
  read(tracker_->claimed(), tracker_->chunks()[*chunk], *buffer);
  if (!tracker_->copied(*chunk)) return true;  // overtaken: what it was is in the area
  put(*chunk, *buffer, buffer, sink);
  --to_put_;
  return true;
}

/// A chunk that was copied ahead and written to since then takes the place of what it was.
PageSink::Ticket CaptureEngine::put(std::size_t chunk, std::span<const std::byte> contents, Owner owner,
                                    PageSink& sink) {
  if (const auto before = precopied_.extract(chunk)) sink.drop(before.mapped());
  std::vector<PageSink::Run> runs = runs_to_put(chunk, contents);
  PageSink::Ticket ticket;
  if (!runs.empty()) ticket = sink.put(std::move(runs), std::move(owner));
  sink.done(tracker_->chunks()[chunk].pages);
  return ticket;
}

/// The pages of a chunk that the last checkpoint does not have as they are.
std::vector<PageSink::Run> CaptureEngine::runs_to_put(std::size_t chunk, std::span<const std::byte> contents) {
  const Chunk& place = tracker_->chunks()[chunk];
  std::vector<PageSink::Run> runs;
  const auto add = [&](std::uint64_t page, std::uint64_t count) {
    runs.push_back({page, contents.subspan((page - place.first_page) * kPageSize, count * kPageSize)});
  };
  if (tracker_->knows()) {
    const PageSet& pages = tracker_->claimed();
    tracker_->learn(chunk, hashes_.compare(chunk, contents, pages, tracker_->residency(), everything_, add));
  } else {
    tracker_->claimed().for_each_run(place.first_page, place.pages, add);
  }
  return runs;
}

void CaptureEngine::throw_if_failed() const {
  if (tracker_->failed())
    throw Error("the host refused to lift write protection from guest memory: the checkpoint was given up");
}

// A call costs as much as copying some chunks, because the kernel first empties the page caches of all its CPUs: so one
// for as many as follow each other.
void CaptureEngine::mend_huge_pages() noexcept {
  constexpr int kCollapse = 25;  // MADV_COLLAPSE, Linux 6.1; Debian 12's headers are older
  const ChunkTable& chunks = tracker_->chunks();
  for (std::size_t first = 0, end = 0; first < chunks.size(); first = end) {
    end = first + 1;
    if (!tracker_->may_be_mended(first)) continue;
    while (end < chunks.size() && chunks.follow_each_other(end - 1) && tracker_->may_be_mended(end)) ++end;
    const auto range = chunks.bytes(first, end - first);
    ::madvise(range.data(), range.size(), kCollapse);
  }
}

// ---- the end ----

void CaptureEngine::keep() noexcept {
  hashes_.keep();
  kept_ = true;
  tracker_->keep();
  finish();
}

void CaptureEngine::give_back() noexcept {
  hashes_.forget();
  if (area_) area_->close();  // a fault that waits for a slot goes on without
  tracker_->give_back();
  finish();
}

void CaptureEngine::finish() noexcept {
  precopied_.clear();
  if (!area_) return;
  area_->close();
  const auto now = std::chrono::steady_clock::now();
  const bool closely = now - std::exchange(last_end_, now) < kClosely;
  if (!closely) return let_memory_go();
  area_->keep_ready(area_->peak_bytes() + kSpareRoom / 2);
  since_last_.start();
}

void CaptureEngine::let_memory_go() noexcept {
  area_->keep_ready(0);
  buffers_.keep(1);
}

void CaptureEngine::begin_as_restored() {
  if (tracking_ == Tracking::kNothing) return;
  tracker_->start();
  tracker_->begin_clean();
  kept_ = true;
}

void CaptureEngine::begin_as_compared(const MemoryTracker::AsSaved& as_saved) {
  if (tracking_ == Tracking::kNothing) return;
  tracker_->start();
  tracker_->begin_compared(as_saved);
  kept_ = true;
}

void CaptureEngine::begin_compared_with(const BlockSource& saved, const Cancellation& cancellation) {
  if (tracking_ == Tracking::kNothing) return;
  tracker_->start();
  kept_ = false;
  hashes_.know_nothing();
  make_present(saved);
  std::vector<std::byte> contents;
  tracker_->begin_compared([&](std::size_t chunk, const PageSet& there) {
    cancellation.throw_if_requested();
    const Chunk& pages = tracker_->chunks()[chunk];
    contents.resize(pages.bytes().size());
    saved.read_blocks(pages.first_page, contents);
    hashes_.know(chunk, contents);
    return holds(pages, there, contents);
  });
  kept_ = true;
}

// A page that was never touched is nowhere looked at, so that what was there before would stay in the checkpoint. Those
// that hold something there are made to be here: they are zero as before, and compared.
void CaptureEngine::make_present(const BlockSource& saved) {
  tracker_->look();
  for (auto run = saved.next_run(0); run; run = saved.next_run(run->end_block())) {
    for (std::uint64_t page = run->first_block; page < run->end_block();) {
      const Chunk& chunk = tracker_->chunks()[tracker_->chunks().of_page(page)];
      const std::uint64_t count = std::min(run->end_block(), chunk.first_page + chunk.pages) - page;
      if (!tracker_->residency().pages().all(page, count))
        populate(chunk.bytes().subspan((page - chunk.first_page) * kPageSize, count * kPageSize));
      page += count;
    }
  }
}

std::uint64_t CaptureEngine::resident_bytes() { return tracker_->look() * kPageSize; }

std::uint64_t CaptureEngine::written_bytes() {
  return std::min<std::uint64_t>(tracker_->written() * kHugePageSize, memory_.size());
}

}  // namespace tintype
