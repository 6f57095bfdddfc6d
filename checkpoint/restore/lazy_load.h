// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "checkpoint/format/block_source.h"
#include "checkpoint/tracking/chunks.h"
#include "checkpoint/tracking/fault_service.h"
#include "checkpoint/tracking/page_set.h"
#include "vmm/base/progress.h"
#include "vmm/memory/guest_memory.h"

namespace tintype {

/// Lazy restore: the machine runs, and memory comes chunk by chunk, the one that somebody waits for first, all others
/// in the background.
///
/// Who waits: a vCPU in the kernel, by a page fault; everything in this program by GuestMemory (bring()), so that no
/// thread but a vCPU's can be stuck in the kernel. A read that fails stops the loading; nothing is lost, and it can be
/// tried again.
class LazyLoad final : public AbsentMemory, private FaultSink {
 public:
  /// Calls come from threads of the load, which may not be waited for.
  struct Events {
    /// Loading stands still, and whoever touches what is not there waits: for retry(), or give_up(). Once, until then.
    std::function<void(const std::string& why)> on_failure;
    /// All is there, and somebody waited for pages that were not known to be wanted: now these are (WorkingSet).
    std::function<void(std::span<const std::uint64_t> pages)> on_learnt{};
  };
  /// What is brought first, by any page of each chunk: whoever knows what the machine is going to want says it. May
  /// hold anything.
  using WorkingSet = std::vector<std::uint64_t>;

  /// So many threads for what somebody waits for, and what is known to be wanted; and for all else, which give way to
  /// whoever wants their CPU. Where there are none of the former, these do both.
  struct Crew {
    unsigned prompt = 1;
    unsigned patient = 2;
  };

  /// Watches what of memory the source has data for; nothing may have touched it. What is wanted is loaded at once,
  /// all else when the machine runs. Throws tintype::Error where the host cannot.
  LazyLoad(std::shared_ptr<const BlockSource> source, GuestMemory& memory, Events events,
           const MakeUserfault& make_userfault = make_missing_userfault, Crew crew = crew_for_this_host(),
           const WorkingSet& first = {});
  /// As give_up().
  ~LazyLoad() override;

  static std::unique_ptr<Userfault> make_missing_userfault() {
    return std::make_unique<Userfault>(FaultKind::kMissing);
  }
  static Crew crew_for_this_host() noexcept;

  /// Or is about to. Until this is called, the first read that fails gives all of it up, so that nobody waits; and this
  /// throws what it threw. Afterwards on_failure is told.
  void machine_runs();

  /// All is there.
  bool finished() const noexcept { return finished_.load(); }
  std::uint64_t bytes_total() const noexcept { return bytes_total_; }
  std::uint64_t bytes_left() const noexcept { return bytes_left_.load(); }
  /// Why it stands still; empty where it does not.
  std::string problem() const;
  /// This thread (gettid(2)) stands in the kernel, and waits for a page.
  bool is_waited_for_by(std::uint32_t thread) const;

  /// Reads once more what could not be read, and goes on. Throws what that throws; then it stands still as before.
  void retry();
  /// Waits until all is there; calls `waiting` now and then, which ends it by throwing. Throws tintype::Error where it
  /// stands still, or was given up.
  void wait(const ProgressSink& waiting);

  /// Nothing more is brought in, for good. Who waits in this program is told so, and may not use memory; what waits in
  /// the kernel finds zeros after let_go(). Both can be called twice.
  void give_up() noexcept;
  void let_go() noexcept;

  /// When all is there: whether these pages of a chunk are as the source has them.
  bool as_saved(std::size_t chunk, const PageSet& there) const;

  bool bring(const std::byte* host, std::uint64_t length) noexcept override;

 private:
  enum class State : std::uint8_t { kThere, kMissing, kLoading };
  struct Waiting {
    std::size_t chunk = 0;
    std::uint32_t thread = 0;
    bool operator==(const Waiting&) const = default;
  };
  class Staging;

  std::vector<std::span<std::byte>> find_missing();
  void plan(const WorkingSet& first);
  void want(std::size_t chunk);
  void tell_learnt() noexcept;
  bool on_fault(const Fault& fault) noexcept override;
  enum class Turn : std::uint8_t { kPrompt, kPatient, kBoth };
  void begin(unsigned threads, Turn turn);
  void work(Turn turn) noexcept;
  std::optional<std::size_t> next(Turn turn);
  std::optional<std::size_t> claim_wanted() noexcept;
  std::optional<std::size_t> claim_any() noexcept;
  bool claim(std::size_t chunk) noexcept;
  void load(std::size_t chunk, Staging& staging);
  bool there(std::size_t chunk);
  void finish() noexcept;
  std::optional<std::size_t> claim_failed();
  void failed(std::size_t chunk, const std::exception_ptr& why) noexcept;
  bool stands_still() const noexcept { return given_up_ || failure_ != nullptr; }

  const std::shared_ptr<const BlockSource> source_;
  GuestMemory& memory_;
  const Events events_;
  Crew crew_;  ///< those that are still to begin
  const ChunkTable chunks_;
  std::unique_ptr<std::atomic<State>[]> states_;
  std::vector<std::span<std::byte>> missing_;  ///< at the beginning
  std::uint64_t bytes_total_ = 0;
  bool moves_pages_ = false;
  std::atomic<bool> finished_ = false;
  std::atomic<std::uint64_t> bytes_left_ = 0;

  mutable std::mutex mutex_;         // guards the rest
  std::condition_variable changed_;  // work to do, a chunk there, an end
  std::deque<std::size_t> wanted_;   ///< somebody waits for them
  std::vector<Waiting> waiting_;
  std::vector<std::size_t> first_;  ///< in the background, in this order; those that were waited for are added
  std::vector<bool> is_first_;      ///< by chunk
  std::size_t planned_ = 0;         ///< so many of them were known at the beginning
  std::size_t next_first_ = 0, next_ = 0;
  bool runs_ = false, given_up_ = false;
  std::exception_ptr failure_;  ///< it stands still

  std::shared_mutex service_mutex_;  // guards service_ where it goes
  std::unique_ptr<FaultService> service_;
  std::vector<std::thread> threads_;
};

}  // namespace tintype
