// SPDX-License-Identifier: Apache-2.0
//
// What a disk can do. Keeps `depth` requests of `bs` bytes in flight on disk `disk` for `seconds`, after `warmup`
// seconds that do not count, and prints one line: requests and bytes a second, and how long one took (median, 99 of
// 100, the longest). `op` is read, write or mixed (7 of 10 are reads), from the start on, or randread, randwrite or
// randmixed, anywhere; inside the first `span` bytes (0: all). With flush=N every N-th write is followed by a flush.
// completion=poll asks the disk not to interrupt. Runs under QEMU as it is.
#include "guest-images/runtime/boot_info.h"
#include "guest-images/runtime/console.h"
#include "guest-images/runtime/cpu.h"
#include "guest-images/runtime/disk.h"
#include "guest-images/runtime/interrupts.h"
#include "guest-images/runtime/options.h"
#include "guest-images/runtime/random.h"
#include "guest-images/runtime/runtime.h"
#include "guest-images/runtime/timer.h"

namespace tintype::guest {
namespace {

constexpr std::uint8_t kCannotRun = 2;
constexpr std::uint32_t kTicksPerSecond = 20;  // so that a disk that never answers is noticed
constexpr std::uint64_t kReadsInTen = 7;

// How often something took how long, to a sixteenth.
class Histogram {
 public:
  void add(std::uint64_t value) {
    ++counts_[bucket_of(value)];
    ++count_;
    if (value > longest_) longest_ = value;
  }
  std::uint64_t longest() const { return longest_; }
  // That which `percent` of 100 do not exceed.
  std::uint64_t at(std::uint64_t percent) const {
    std::uint64_t left = (count_ * percent + 99) / 100;
    for (std::uint32_t bucket = 0; bucket != kBuckets; ++bucket) {
      if (left <= counts_[bucket]) return highest_in(bucket) < longest_ ? highest_in(bucket) : longest_;
      left -= counts_[bucket];
    }
    return longest_;
  }

 private:
  static constexpr std::uint32_t kSteps = 16;  // in each power of two
  static constexpr std::uint32_t kBuckets = 64 * kSteps;

  static std::uint32_t bucket_of(std::uint64_t value) {
    if (value < kSteps) return static_cast<std::uint32_t>(value);
    const auto power = static_cast<std::uint32_t>(63 - __builtin_clzll(value));
    return (power - 3) * kSteps + static_cast<std::uint32_t>(value >> (power - 4) & (kSteps - 1));
  }
  static std::uint64_t highest_in(std::uint32_t bucket) {
    if (bucket < kSteps) return bucket;
    const std::uint32_t shift = bucket / kSteps - 1;
    return ((std::uint64_t{kSteps} + bucket % kSteps + 1) << shift) - 1;
  }

  std::uint64_t counts_[kBuckets] = {};
  std::uint64_t count_ = 0;
  std::uint64_t longest_ = 0;
};

struct Job {
  Text name = option("op");
  bool random = false;
  std::uint64_t reads_in_ten = 10;
  std::uint32_t sectors = 0;  // of a request
  std::uint32_t depth = 0;
  std::uint64_t places = 0;  // so many requests side by side fill the span
  std::uint64_t flush_every = 0;
};

// False where there is no such operation.
bool choose(Job& job) {
  struct Operation {
    Text name;
    bool random;
    std::uint64_t reads_in_ten;
  };
  const Operation operations[] = {{"read", false, 10},    {"write", false, 0},    {"mixed", false, kReadsInTen},
                                  {"randread", true, 10}, {"randwrite", true, 0}, {"randmixed", true, kReadsInTen}};
  for (const Operation& operation : operations) {
    if (!(operation.name == job.name)) continue;
    job.random = operation.random;
    job.reads_in_ten = operation.reads_in_ten;
    return true;
  }
  return false;
}

class Bench {
 public:
  Bench(const Job& job, Disk& disk, const Clock& clock, std::uint8_t* memory, bool polled)
      : job_(job), disk_(disk), clock_(clock), memory_(memory), polled_(polled) {}

  // What is counted is what was begun and has ended in the time that counts.
  std::uint8_t run(std::uint64_t warmup_us, std::uint64_t duration_us) {
    count_from_ = read_tsc() + clock_.cycles(warmup_us);
    end_ = count_from_ + clock_.cycles(duration_us);
    for (std::uint32_t tag = 0; tag != job_.depth; ++tag) begin(tag);
    disk_.kick();
    while (in_flight_ != 0) {
      const std::uint64_t seen = interrupts_taken(0);
      if (!has_news()) {
        if (!polled_) wait_for_interrupt(0, seen);
        continue;
      }
      for (Disk::Completion done; disk_.take(done);)
        if (!finish(done)) return 1;
      disk_.kick();
    }
    report();
    return 0;
  }

 private:
  // The queue is looked at only after an interrupt, unless it is polled: as a kernel's driver does it.
  bool has_news() {
    if (polled_) return disk_.pending();
    const std::uint64_t taken = interrupts_taken(0, disk_.interrupt_vector());
    if (taken == served_) return false;
    served_ = taken;
    disk_.acknowledge_interrupt();
    return true;
  }

  struct Request {
    std::uint64_t begun;
    bool flushes;
  };

  void begin(std::uint32_t tag) {
    Request& request = requests_[tag];
    std::uint8_t* const data = memory_ + std::uint64_t{tag} * job_.sectors * kSectorSize;
    request = {read_tsc(), job_.flush_every != 0 && writes_since_flush_ >= job_.flush_every};
    ++in_flight_;
    if (request.flushes) {
      writes_since_flush_ = 0;
      return disk_.flush(tag);
    }
    const std::uint64_t step = step_++;
    const std::uint64_t place = (job_.random ? mix(step + 1) : step) % job_.places;
    if (mix(~step) % 10 < job_.reads_in_ten) return disk_.read(tag, place * job_.sectors, data, job_.sectors, 1);
    ++writes_since_flush_;
    *reinterpret_cast<std::uint64_t*>(data) = step;
    disk_.write(tag, place * job_.sectors, data, job_.sectors, 1);
  }

  bool finish(const Disk::Completion& done) {
    const std::uint64_t now = read_tsc();
    if (done.outcome != Disk::Outcome::kDone) {
      print("BLK BROKEN outcome=", static_cast<std::uint32_t>(done.outcome), "\n");
      return false;
    }
    --in_flight_;
    const Request& request = requests_[done.tag];
    if (request.begun >= count_from_ && now <= end_) {
      (request.flushes ? flush_times_ : times_).add(now - request.begun);
      ++(request.flushes ? flushes_ : transfers_);
    }
    if (now < end_) begin(done.tag);
    return true;
  }

  std::uint64_t nanoseconds(std::uint64_t cycles) const { return cycles * 1000000 / clock_.khz(); }

  void report() const {
    const std::uint64_t us = clock_.microseconds(end_ - count_from_);
    const std::uint64_t kib = transfers_ * job_.sectors / 2;
    print("BLK op=", job_.name, " bs=", job_.sectors * kSectorSize, " depth=", job_.depth,
          " iops=", transfers_ * 1000000 / us, " kib_s=", kib * 1000000 / us, " p50_ns=", nanoseconds(times_.at(50)),
          " p99_ns=", nanoseconds(times_.at(99)), " max_ns=", nanoseconds(times_.longest()), " requests=", transfers_,
          " flushes=", flushes_, " flush_p50_ns=", nanoseconds(flush_times_.at(50)), "\n");
    print("BLK DONE\n");
  }

  const Job job_;
  Disk& disk_;
  const Clock clock_;
  std::uint8_t* const memory_;
  const bool polled_;
  std::uint64_t served_ = 0;  // interrupts of the disk
  std::uint64_t count_from_ = 0, end_ = 0;
  std::uint64_t step_ = 0, writes_since_flush_ = 0;
  std::uint32_t in_flight_ = 0;
  std::uint64_t transfers_ = 0, flushes_ = 0;
  Request requests_[Virtqueue::kMaxTags] = {};
  Histogram times_, flush_times_;
};

std::uint64_t smaller(std::uint64_t a, std::uint64_t b) { return a < b ? a : b; }

}  // namespace

std::uint8_t kernel_main() {
  static constinit Disk disk;
  const bool polled = option("completion") == Text("poll");
  Job job;
  job.sectors = static_cast<std::uint32_t>(number_option("bs", 4096) / kSectorSize);
  job.depth = static_cast<std::uint32_t>(number_option("depth", 1));
  job.flush_every = number_option("flush", 0);
  if (!choose(job)) {
    print("BLK NEEDS op=read, write, mixed, randread, randwrite or randmixed\n");
    return kCannotRun;
  }
  if (!disk.open(static_cast<std::uint32_t>(number_option("disk", 0)), polled)) {
    print("BLK NEEDS A DISK\n");
    return kCannotRun;
  }
  const std::uint64_t span = number_option("span", 0) / kSectorSize;
  const MemoryRange memory = free_memory();
  if (job.sectors != 0) job.places = (span == 0 ? disk.sectors() : smaller(span, disk.sectors())) / job.sectors;
  if (job.depth == 0 || job.depth > disk.tags() || job.places < job.depth ||
      std::uint64_t{job.depth} * job.sectors * kSectorSize > memory.size) {
    print("BLK NEEDS depth of 1 to ", disk.tags(), ", and room for that many blocks on the disk and in memory\n");
    return kCannotRun;
  }
  const Clock clock = Clock::calibrated();
  start_pit(kTicksPerSecond);
  static Bench bench(job, disk, clock, reinterpret_cast<std::uint8_t*>(memory.start), polled);
  print("BLK sectors=", disk.sectors(), "\n");
  return bench.run(number_option("warmup_ms", 500) * 1000, number_option("seconds", 3) * 1000000);
}

}  // namespace tintype::guest
