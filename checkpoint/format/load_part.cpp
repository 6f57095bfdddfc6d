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
  Load(const BlockSource& source, const LocateBlock& locate, const ProgressSink& progress)
      : source_(source), locate_(locate), progress_(progress) {}

  void work(bool reports) noexcept {
    try {
      Spare spare;
      for (std::size_t i = next_++; i < source_.extent_count() && !failed_; i = next_++) {
        load(i, spare);
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

  /// What a thread keeps from one extent to the next.
  struct Spare {
    std::vector<BlockSource::Run> runs;
    std::vector<std::byte> bytes;
  };

  void load(std::size_t number, Spare& spare) {
    source_.runs_in(number, spare.runs);
    if (spare.runs.empty()) return;
    const Extent& extent = source_.extent(number);
    const auto place = locate_(extent.first_block);
    if (spare.runs.front().blocks == extent.blocks && place.size() >= extent.data_bytes()) {
      source_.read_extent(number, place.first(extent.data_bytes()));
    } else {
      spare.bytes.resize(extent.data_bytes());
      source_.read_extent(number, spare.bytes);
      for (const BlockSource::Run& run : spare.runs) scatter(run.first_block, bytes_of(run, extent, spare.bytes));
    }
    for (const BlockSource::Run& run : spare.runs) done_ += run.blocks * kBlockSize;
  }

  static std::span<const std::byte> bytes_of(const BlockSource::Run& run, const Extent& extent,
                                             std::span<const std::byte> bytes) {
    return bytes.subspan((run.first_block - extent.first_block) * kBlockSize, run.blocks * kBlockSize);
  }

  // A run may cross the end of a memory region.
  void scatter(std::uint64_t block, std::span<const std::byte> data) {
    while (!data.empty()) {
      const auto place = locate_(block);
      const std::size_t count = std::min(place.size(), data.size()) / kBlockSize * kBlockSize;
      if (count == 0) throw ImageError("{} holds block {}, which is not there", source_.name(), block);
      std::memcpy(place.data(), data.data(), count);
      data = data.subspan(count);
      block += count / kBlockSize;
    }
  }

  void report() {
    const std::uint64_t done = done_;
    if (!progress_ || (reported_ != 0 && done < reported_ + kReportStep)) return;
    reported_ = done;
    progress_({source_.name(), done, source_.data_blocks() * kBlockSize});
  }

  const BlockSource& source_;
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

void load_part(const BlockSource& source, const LocateBlock& locate, unsigned threads, const ProgressSink& progress) {
  Load load(source, locate, progress);
  {
    std::vector<std::jthread> helpers;
    for (unsigned i = 1; i < threads; ++i) helpers.emplace_back([&load] { load.work(false); });
    load.work(true);
  }
  load.finish();
}

}  // namespace tintype
