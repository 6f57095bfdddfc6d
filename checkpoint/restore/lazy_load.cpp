// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/restore/lazy_load.h"

#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <utility>

#include "vmm/base/error.h"
#include "vmm/base/mapping.h"
#include "vmm/base/thread.h"
#include "vmm/base/touch.h"

namespace tintype {

namespace {

using namespace std::chrono_literals;

constexpr int kCollapse = 25;  // MADV_COLLAPSE, Linux 6.1; Debian 12's headers are older

std::string text_of(const std::exception_ptr& failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const std::exception& error) {
    return error.what();
  } catch (...) {
    return "unknown failure";
  }
}

}  // namespace

/// Where a chunk is made ready, of one thread. Its pages move away with the chunk, and new ones take their place.
class LazyLoad::Staging {
 public:
  Staging() : memory_(Mapping::anonymous(kHugePageSize, kHugePageSize)) {
    memory_.advise(MADV_HUGEPAGE);
    memory_.advise(MADV_DONTFORK);
  }

  /// With all of its pages there: also those that stay zero must be.
  std::span<std::byte> room(std::uint64_t bytes) const noexcept {
    make_ready();
    return memory_.bytes().first(bytes);
  }
  /// Before somebody waits: it takes as long as reading a chunk.
  void make_ready() const noexcept { touch(memory_.bytes()); }

 private:
  Mapping memory_;
};

LazyLoad::LazyLoad(std::shared_ptr<const BlockSource> source, GuestMemory& memory, Events events,
                   const MakeUserfault& make_userfault, Crew crew, const WorkingSet& first)
    : source_(std::move(source)),
      memory_(memory),
      events_(std::move(events)),
      crew_(crew),
      chunks_(memory),
      states_(std::make_unique<std::atomic<State>[]>(chunks_.size())) {
  missing_ = find_missing();
  finished_ = missing_.empty();
  if (finished_) return;
  plan(first);
  service_ = std::make_unique<FaultService>(missing_, static_cast<FaultSink&>(*this), make_userfault);
  moves_pages_ = service_->moves_pages();
  memory_.set_absent(this);
  if (crew_.prompt == 0) {
    begin(std::exchange(crew_.patient, 0), Turn::kBoth);
  } else {
    begin(crew_.prompt, Turn::kPrompt);
  }
}

LazyLoad::~LazyLoad() {
  give_up();
  let_go();
  for (std::thread& thread : threads_) thread.join();
  memory_.set_absent(nullptr);
}

// Of the patient ones, one that waits for the device, and one that computes.
LazyLoad::Crew LazyLoad::crew_for_this_host() noexcept {
  const unsigned cores = std::clamp(std::thread::hardware_concurrency(), 2U, 4U);
  return {cores / 2, cores};
}

/// The memory of all chunks that the source has data for. The others are zero, and come by themselves.
std::vector<std::span<std::byte>> LazyLoad::find_missing() {
  std::vector<std::span<std::byte>> ranges;
  for (std::size_t chunk = 0; chunk < chunks_.size(); ++chunk) {
    const Chunk& pages = chunks_[chunk];
    const auto run = source_->next_run(pages.first_page);
    if (!run || run->first_block >= pages.first_page + pages.pages) continue;
    states_[chunk].store(State::kMissing);
    bytes_total_ += pages.bytes().size();
    const bool follows = !ranges.empty() && ranges.back().data() + ranges.back().size() == pages.host;
    if (follows) {
      ranges.back() = {ranges.back().data(), ranges.back().size() + pages.bytes().size()};
    } else {
      ranges.push_back(pages.bytes());
    }
  }
  bytes_left_ = bytes_total_;
  return ranges;
}

void LazyLoad::plan(const WorkingSet& first) {
  is_first_.resize(chunks_.size());
  for (const std::uint64_t page : first) {
    if (page >= chunks_.pages()) continue;
    const std::size_t chunk = chunks_.of_page(page);
    if (states_[chunk].load() == State::kMissing && !is_first_[chunk]) first_.push_back(chunk);
    is_first_[chunk] = true;
  }
  planned_ = first_.size();
}

void LazyLoad::machine_runs() {
  {
    const std::lock_guard lock(mutex_);
    if (failure_) std::rethrow_exception(failure_);
    runs_ = true;
    changed_.notify_all();
  }
  if (!missing_.empty()) begin(std::exchange(crew_.patient, 0), Turn::kPatient);
}

void LazyLoad::begin(unsigned threads, Turn turn) {
  for (; threads > 0; --threads) threads_.emplace_back([this, turn] { work(turn); });
}

std::string LazyLoad::problem() const {
  const std::lock_guard lock(mutex_);
  return failure_ ? text_of(failure_) : std::string();
}

// ---- whoever waits ----

/// With the mutex.
void LazyLoad::want(std::size_t chunk) {
  wanted_.push_back(chunk);
  if (!is_first_[chunk]) first_.push_back(chunk);
  is_first_[chunk] = true;
  changed_.notify_all();
}

bool LazyLoad::on_fault(const Fault& fault) noexcept {
  const auto chunk = chunks_.find(fault.address);
  if (!chunk) return true;
  const std::lock_guard lock(mutex_);
  if (states_[*chunk].load() == State::kThere) return true;  // whoever waited has been woken
  // A thread that somebody calls comes again and again.
  if (std::ranges::find(waiting_, Waiting{*chunk, fault.thread}) != waiting_.end()) return true;
  if (traces(TraceKind::kFaults))
    fault_line("missing", fault, chunks_[*chunk], memory_).number("thread", fault.thread).put();
  waiting_.push_back({*chunk, fault.thread});
  want(*chunk);
  return true;
}

bool LazyLoad::is_waited_for_by(std::uint32_t thread) const {
  const std::lock_guard lock(mutex_);
  return std::ranges::find(waiting_, thread, &Waiting::thread) != waiting_.end();
}

bool LazyLoad::bring(const std::byte* host, std::uint64_t length) noexcept {
  if (length == 0) return true;
  const auto first = chunks_.find(reinterpret_cast<std::uintptr_t>(host));
  const auto last = chunks_.find(reinterpret_cast<std::uintptr_t>(host) + length - 1);
  check(first && last, "guest memory is what is brought in");
  for (std::size_t chunk = *first; chunk <= *last; ++chunk) {
    if (states_[chunk].load(std::memory_order_acquire) == State::kThere) continue;
    std::unique_lock lock(mutex_);
    want(chunk);
    changed_.wait(lock, [&] { return given_up_ || states_[chunk].load() == State::kThere; });
    if (states_[chunk].load() != State::kThere) return false;
  }
  return true;
}

void LazyLoad::wait(const ProgressSink& waiting) {
  std::unique_lock lock(mutex_);
  while (!finished()) {
    if (given_up_) throw Error("the machine ended before all of its memory was there");
    if (failure_) throw Error("the machine's memory is not all there, and cannot be read: {}", text_of(failure_));
    lock.unlock();
    if (waiting) waiting({"load", bytes_total() - bytes_left(), bytes_total()});
    lock.lock();
    changed_.wait_for(lock, 20ms, [this] { return finished() || stands_still(); });
  }
}

// ---- threads that load ----

void LazyLoad::work(Turn turn) noexcept {
  name_this_thread("lazy-load");
  block_signals_in_this_thread();
  std::optional<ScopedPatience> patient;
  if (turn == Turn::kPatient) patient.emplace();
  Staging staging;
  for (;;) {
    if (turn == Turn::kPrompt) staging.make_ready();
    const auto chunk = next(turn);
    if (!chunk) return;
    try {
      load(*chunk, staging);
      if (there(*chunk)) finish();
    } catch (...) {
      failed(*chunk, std::current_exception());
    }
  }
}

/// Nothing: all is there, or on its way, or nobody wants it any more.
std::optional<std::size_t> LazyLoad::next(Turn turn) {
  std::unique_lock lock(mutex_);
  for (;;) {
    if (given_up_ || bytes_left_ == 0) return std::nullopt;
    std::optional<std::size_t> chunk;
    if (!failure_ && turn != Turn::kPatient) chunk = claim_wanted();
    if (!failure_ && turn != Turn::kPrompt && !chunk && runs_) chunk = claim_any();
    if (chunk) return chunk;
    changed_.wait(lock);
  }
}

std::optional<std::size_t> LazyLoad::claim_wanted() noexcept {
  for (; !wanted_.empty(); wanted_.pop_front())
    if (claim(wanted_.front())) return wanted_.front();
  for (; next_first_ < planned_; ++next_first_)
    if (claim(first_[next_first_])) return first_[next_first_++];
  return std::nullopt;
}

std::optional<std::size_t> LazyLoad::claim_any() noexcept {
  for (; next_ < chunks_.size(); ++next_)
    if (claim(next_)) return next_++;
  return std::nullopt;
}

bool LazyLoad::claim(std::size_t chunk) noexcept {
  State missing = State::kMissing;
  return states_[chunk].compare_exchange_strong(missing, State::kLoading);
}

// Nothing here touches guest memory but the kernel, which puts the pages in their place.
void LazyLoad::load(std::size_t chunk, Staging& staging) {
  const Chunk& pages = chunks_[chunk];
  const auto room = staging.room(pages.bytes().size());
  source_->read_blocks(pages.first_page, room);
  const std::shared_lock lock(service_mutex_);
  if (!service_) throw Error("the load was given up");
  if (!service_->fill(pages.bytes(), room))
    throw Error("the host refused memory for a restored machine ({}): free some, then continue it", errno_text(errno));
}

/// True for the last one.
bool LazyLoad::there(std::size_t chunk) {
  const std::lock_guard lock(mutex_);
  states_[chunk].store(State::kThere, std::memory_order_release);
  std::erase_if(waiting_, [chunk](const Waiting& waiting) { return waiting.chunk == chunk; });
  bytes_left_ -= chunks_[chunk].bytes().size();
  if (bytes_left_ == 0) memory_.set_absent(nullptr);
  changed_.notify_all();
  return bytes_left_ == 0;
}

/// For the next time.
void LazyLoad::tell_learnt() noexcept {
  std::vector<std::uint64_t> pages;
  {
    const std::lock_guard lock(mutex_);
    if (first_.size() == planned_ || !runs_) return;
    for (const std::size_t chunk : first_) pages.push_back(chunks_[chunk].first_page);
  }
  if (events_.on_learnt) events_.on_learnt(pages);
}

/// Nobody waits any more, and nothing faults. Whoever brought the last one.
void LazyLoad::finish() noexcept {
  const bool small_pages = !moves_pages_;
  let_go();
  tell_learnt();
  for (std::size_t chunk = 0; small_pages && chunk < missing_.size(); ++chunk)
    ::madvise(missing_[chunk].data(), missing_[chunk].size(), kCollapse);
  const std::lock_guard lock(mutex_);
  finished_ = true;
  changed_.notify_all();
}

void LazyLoad::failed(std::size_t chunk, const std::exception_ptr& why) noexcept {
  bool first = false, machine_runs = false;
  {
    const std::lock_guard lock(mutex_);
    states_[chunk].store(State::kMissing);
    if (given_up_) return;
    wanted_.push_front(chunk);
    first = !failure_;
    machine_runs = runs_;
    if (first) failure_ = why;
    if (!runs_) given_up_ = true;
    changed_.notify_all();
  }
  if (!machine_runs) {
    let_go();
  } else if (first && events_.on_failure) {
    events_.on_failure(text_of(why));
  }
}

void LazyLoad::retry() {
  const auto chunk = claim_failed();
  if (!chunk) return;
  try {
    Staging staging;
    load(*chunk, staging);
  } catch (...) {
    const std::lock_guard lock(mutex_);
    states_[*chunk].store(State::kMissing);
    failure_ = std::current_exception();
    throw;
  }
  if (there(*chunk)) finish();
  const std::lock_guard lock(mutex_);
  failure_ = nullptr;
  changed_.notify_all();
}

std::optional<std::size_t> LazyLoad::claim_failed() {
  const std::lock_guard lock(mutex_);
  if (!failure_ || given_up_) return std::nullopt;
  const auto found = std::ranges::find_if(wanted_, [this](std::size_t chunk) { return claim(chunk); });
  return found == wanted_.end() ? std::nullopt : std::optional(*found);
}

// ---- the end ----

void LazyLoad::give_up() noexcept {
  const std::lock_guard lock(mutex_);
  if (!finished()) given_up_ = true;
  changed_.notify_all();
}

void LazyLoad::let_go() noexcept {
  std::unique_ptr<FaultService> service;
  {
    const std::lock_guard lock(service_mutex_);
    service = std::move(service_);
  }
}

bool LazyLoad::as_saved(std::size_t chunk, const PageSet& there) const {
  const Chunk& pages = chunks_[chunk];
  std::vector<std::byte> saved(pages.bytes().size());
  try {
    source_->read_blocks(pages.first_page, saved);
  } catch (const std::exception&) {
    return false;  // it counts as written
  }
  bool same = true;
  there.for_each_run(pages.first_page, pages.pages, [&](std::uint64_t page, std::uint64_t count) {
    const std::uint64_t offset = (page - pages.first_page) * kPageSize;
    same = same && std::memcmp(pages.host + offset, saved.data() + offset, count * kPageSize) == 0;
  });
  return same;
}

}  // namespace tintype
