// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/format/load_part.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <exception>
#include <mutex>
#include <thread>

namespace tintype {
namespace {

/// One load: threads take extents from it until there are none left or one of them failed.
class Load {
 public:
  Load(const PartReader& part, const LocateBlock& locate, const ProgressSink& progress)
      : part_(part), locate_(locate), progress_(progress) {}

  void work(bool reports) noexcept {
    try {
      std::vector<std::byte> spare;
      for (std::size_t i = next_++; i < part_.extents().size() && !failed_; i = next_++) {
        load(part_.extents()[i], spare);
        if (reports) report();
      }
    } catch (...) {
      const std::scoped_lock lock(mutex_);
      if (!failed_.exchange(true)) failure_ = std::current_exception();
    }
  }

  void finish() {
    if (failure_) std::rethrow_exception(failure_);
    reported_ = 0;
    report();
  }

 private:
  static constexpr std::uint64_t kReportStep = 32 << 20;

  void load(const Extent& extent, std::vector<std::byte>& spare) {
    if (extent.zero) return;  // memory is zero already
    const auto place = locate_(extent.first_block);
    if (place.size() >= extent.data_bytes()) {
      part_.read_extent(extent, place.first(extent.data_bytes()));
    } else {
      spare.resize(extent.data_bytes());
      part_.read_extent(extent, spare);
      scatter(extent.first_block, spare);
    }
    done_ += extent.data_bytes();
  }

  // The extent crosses the end of a memory region.
  void scatter(std::uint64_t block, std::span<const std::byte> data) {
    while (!data.empty()) {
      const auto place = locate_(block);
      const std::size_t count = std::min(place.size(), data.size()) / kBlockSize * kBlockSize;
      if (count == 0) throw ImageError("{} holds block {}, which is not memory", part_.path().string(), block);
      std::memcpy(place.data(), data.data(), count);
      data = data.subspan(count);
      block += count / kBlockSize;
    }
  }

  void report() {
    const std::uint64_t done = done_;
    if (!progress_ || (reported_ != 0 && done < reported_ + kReportStep)) return;
    reported_ = done;
    progress_({part_.path().stem().string(), done, part_.summary().data_blocks * kBlockSize});
  }

  const PartReader& part_;
  const LocateBlock& locate_;
  const ProgressSink& progress_;
  std::atomic<std::size_t> next_ = 0;
  std::atomic<std::uint64_t> done_ = 0;
  std::atomic<bool> failed_ = false;
  std::uint64_t reported_ = 0;  // of the one thread that reports
  std::mutex mutex_;
  std::exception_ptr failure_;
};

}  // namespace

void load_part(const PartReader& part, const LocateBlock& locate, unsigned threads, const ProgressSink& progress) {
  Load load(part, locate, progress);
  {
    std::vector<std::jthread> helpers;
    for (unsigned i = 1; i < threads; ++i) helpers.emplace_back([&load] { load.work(false); });
    load.work(true);
  }
  load.finish();
}

}  // namespace tintype
