// SPDX-License-Identifier: Apache-2.0
// A disk read in flight at the pause: the host puts its data into guest memory at any moment, also between two steps of
// the pause. What it reads is undefined until it is done (and is asked for again at restore); all else must be of the
// instant.
#include <algorithm>
#include <atomic>
#include <deque>
#include <functional>
#include <thread>
#include <utility>

#include <doctest/doctest.h>

#include "checkpoint/capture/engine.h"
#include "tests/unit/block/test_disk.h"
#include "tests/unit/capture/capture_rig.h"

namespace tintype {
namespace {

/// Half of it is enough for a round of copying ahead.
constexpr std::uint64_t kSmall = 40 << 20;

/// Lets something happen around the protection of memory.
class WatchedUserfault final : public Userfault {
 public:
  struct Hooks {
    std::function<void()> before, after;
  };
  explicit WatchedUserfault(const Hooks& hooks) : hooks_(hooks) {}
  void protect(std::span<std::byte> range) override {
    if (hooks_.before) hooks_.before();
    Userfault::protect(range);
    if (hooks_.after) hooks_.after();
  }

 private:
  const Hooks& hooks_;
};

/// Memory, and a disk of 0x11 that is read into it, one sector at a time, when the test says so.
class LateReads {
 public:
  LateReads() : memory(kSmall), disk_(directory_.image(1 << 20)) {
    REQUIRE(disk_.driver->fill(0, 65536, 0x11) == 0);
    disk_.io->hold = [](const HostIo& io) { return io.kind == HostIo::Kind::kRead; };
  }

  /// A read of one sector to `where` is in flight from here on.
  void begin_read(Gpa where) {
    read_at_.push_back(where);
    BlockRequest& request = requests_.emplace_back();
    request.operation = BlockOperation::kRead;
    const auto buffer = memory.writable_view(where, kSectorSize);
    request.segments = {{buffer.data(), buffer.size()}};
    request.done = [](BlockRequest&, int) noexcept {};
    disk_.disk->submit(request);
    disk_.disk->kick();
  }
  ~LateReads() { wait_for_landing(); }
  /// The data of all reads appears, as a host's own thread puts it there: at once, but where memory is protected.
  void land() {
    host_ = std::thread([this] {
      disk_.io->release_all();
      landed_ = true;
    });
    for (int tries = 0; tries < 50 && !landed_; ++tries) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  /// A write that changes nothing, beside where the first read goes.
  void touch() {
    const Gpa where((2 << 20) + 1024);
    REQUIRE(memory.store(where, *memory.load<std::uint64_t>(where)));
  }
  void wait_for_landing() {
    if (host_.joinable()) host_.join();
  }
  /// What was captured is the instant, but for what was being read.
  bool same_but_for_reads(std::vector<std::byte> captured, std::vector<std::byte> instant) const {
    for (const Gpa at : read_at_) {
      std::fill_n(captured.begin() + static_cast<std::ptrdiff_t>(at.value()), kSectorSize, std::byte{0});
      std::fill_n(instant.begin() + static_cast<std::ptrdiff_t>(at.value()), kSectorSize, std::byte{0});
    }
    return captured == instant;
  }

  GuestMemory memory;

 private:
  TempDir directory_;
  std::deque<BlockRequest> requests_;  ///< before the disk, which ends those in flight when it goes
  ScriptedDisk disk_;
  std::vector<Gpa> read_at_;
  std::atomic<bool> landed_ = false;
  std::thread host_;
};

/// Records in the lower half of guest memory, the upper half never touched; and what a checkpoint must say of it.
/// (Absent memory reads as zero, and must not be touched to find out.)
std::vector<std::byte> write_records(LateReads& rig) {
  fill(rig.memory, 0, kSmall / 2, 1);
  std::vector<std::byte> instant(kSmall / 2);
  REQUIRE(rig.memory.read(Gpa(0), instant));
  instant.resize(kSmall);
  return instant;
}

void begin_reads(LateReads& rig) {
  rig.begin_read(Gpa((2 << 20) + 512));       // among records, in the middle of a page
  rig.begin_read(Gpa(kSmall / 2 + 4096));     // an untouched huge page, which it brings into being
  rig.begin_read(Gpa(kSmall - kSectorSize));  // another
}

/// The guest runs again, and writes over all of its memory.
void overwrite(GuestMemory& memory) {
  for (std::uint64_t at = 0; at < memory.size(); at += 512) REQUIRE(memory.store<std::uint64_t>(Gpa(at), ~at));
}

void land_in_the_pause(Strategy strategy, bool before) {
  LateReads rig;
  const auto instant = write_records(rig);
  begin_reads(rig);
  WatchedUserfault::Hooks hooks;
  CaptureEngine engine(rig.memory, [&] { return std::make_unique<WatchedUserfault>(hooks); });
  const auto capture = make_capture(strategy, engine);
  KeptPages pages(rig.memory);
  capture->prepare({kSmall, true}, {});
  capture->precopy(pages);
  const auto land_once = [&, landed = false]() mutable {
    if (!std::exchange(landed, true)) rig.land();
  };
  (before ? hooks.before : hooks.after) = land_once;
  rig.touch();  // after what was protected ahead, so that the pause has something to protect
  capture->protect();
  if (capture->copies_while_paused()) capture->copy_out(pages);
  rig.wait_for_landing();
  overwrite(rig.memory);
  if (!capture->copies_while_paused()) capture->copy_out(pages);
  pages.finish();
  capture->keep();
  CHECK(rig.same_but_for_reads(pages.contents, instant));
}

void land_while_writing(Strategy strategy) {
  LateReads rig;
  CaptureEngine engine(rig.memory);
  const auto capture = make_capture(strategy, engine);
  const auto instant = write_records(rig);
  begin_reads(rig);
  capture->prepare({kSmall, true}, {});
  KeptPages pages(rig.memory);
  std::uint64_t written = 0;
  pages.while_writing = [&] {
    if (++written == 2) rig.land();  // chunks come in their order, and one of the reads goes to the second
  };
  capture->precopy(pages);
  CHECK((written > 0) == copies_ahead(strategy));
  capture->protect();
  capture->copy_out(pages);
  pages.finish();
  capture->keep();
  CHECK(written >= kSmall / 2 / kHugePageSize);
  CHECK(rig.same_but_for_reads(pages.contents, instant));
}

}  // namespace

TEST_CASE("reads that land in the pause, whenever, tear nothing beside them") {
  if (const std::string problem = no_write_protection(); !problem.empty()) SKIP_TEST(problem);
  for (const StrategyRow& row : strategies()) {
    for (const bool before : {true, false}) {
      CAPTURE(name_of(row.strategy));
      CAPTURE(before);
      land_in_the_pause(row.strategy, before);
    }
  }
}

TEST_CASE("a read that lands while its page is being written out changes nothing under the writer") {
  if (const std::string problem = no_write_protection(); !problem.empty()) SKIP_TEST(problem);
  for (const StrategyRow& row : strategies()) {
    CAPTURE(name_of(row.strategy));
    land_while_writing(row.strategy);
  }
}

}  // namespace tintype
