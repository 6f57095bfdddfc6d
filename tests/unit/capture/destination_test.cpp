// SPDX-License-Identifier: Apache-2.0
// Work on its way to the destination: several at a time, in their order where that matters, and none that is lost,
// begun twice, or begun after all was given up.
#include "checkpoint/capture/destination.h"

#include <algorithm>
#include <atomic>
#include <functional>
#include <optional>
#include <set>
#include <thread>

#include <doctest/doctest.h>

#include "checkpoint/capture/memory_part.h"
#include "tests/unit/capture/capture_rig.h"
#include "tests/unit/capture/paper_machine.h"

namespace tintype {
namespace {

using std::chrono::milliseconds;

constexpr std::uint64_t kPart = 64 << 20;

/// What became of a target, for those who outlive it.
struct Fate {
  std::atomic<int> done = 0;
  std::atomic<bool> sealed = false, gone = false;
};

/// A destination without any place.
class PaperTarget final : public CheckpointTarget {
 public:
  explicit PaperTarget(std::shared_ptr<Fate> fate) : fate_(std::move(fate)) {}
  ~PaperTarget() override { fate_->gone = true; }
  std::uint64_t id() const noexcept override { return 1; }
  const std::string& identity() const noexcept override { return identity_; }
  BlockSink& memory_part() override { throw Error("paper has no memory"); }
  BlockSink& disk_part(std::string_view) override { throw Error("paper has no disks"); }
  void write_state(std::span<const NamedState>) override {}
  void sync() override {}
  Manifest seal(Manifest manifest) override {
    fate_->sealed = true;
    return manifest;
  }

 private:
  const std::string identity_ = "paper";
  std::shared_ptr<Fate> fate_;
};

/// A destination of two threads on paper. What it is given may outlive the test.
class Rig {
 public:
  explicit Rig(DestinationPatience patience = {std::chrono::hours(1), std::chrono::hours(1)}) {
    destination.emplace([fate = fate] { return std::make_unique<PaperTarget>(fate); }, [](CheckpointTarget&) {},
                        cancellation, patience);
  }
  Destination::Work count() const {
    return [fate = fate](CheckpointTarget&) { ++fate->done; };
  }
  Destination::Work hang() const {
    return [fate = fate, barrier = barrier](CheckpointTarget&) {
      barrier->wait();
      ++fate->done;
    };
  }
  /// Two works hang, and as many wait behind them as there is room for.
  void fill() {
    for (int i = 0; i < 2; ++i) destination->put(hang());
    for (int i = 0; i < 2; ++i) destination->put(count());
  }
  void wait_until_gone() const {
    while (!fate->gone) std::this_thread::sleep_for(milliseconds(1));
  }

  const std::shared_ptr<Fate> fate = std::make_shared<Fate>();
  const std::shared_ptr<Barrier> barrier = std::make_shared<Barrier>();
  Cancellation cancellation;
  std::optional<Destination> destination;
};

void nothing(CheckpointTarget&) {}

}  // namespace

TEST_CASE("what is put does not wait while there is room, and then waits for it") {
  Rig rig;
  rig.fill();
  std::atomic<bool> put = false;
  std::thread opener([&] {
    rig.barrier->wait_for_visitor();
    CHECK_FALSE(put);
    rig.barrier->open();
  });
  rig.destination->put(rig.count());
  put = true;
  rig.destination->run(nothing);
  CHECK(rig.fate->done == 5);
  opener.join();
}

TEST_CASE("work that is put is done beside other work, each once; work alone comes after all before it, and alone") {
  Rig rig;
  struct Seen {
    std::atomic<int> inside = 0, most = 0;
    std::mutex mutex;
    std::multiset<int> done;
  };
  const auto seen = std::make_shared<Seen>();
  for (int i = 0; i < 200; ++i) {
    const bool alone = i % 10 == 9;
    const auto work = [seen, i, alone](CheckpointTarget&) {
      const int inside = ++seen->inside;
      seen->most = std::max(inside, seen->most.load());
      if (i % 3 == 0) std::this_thread::sleep_for(std::chrono::microseconds(200));
      const std::lock_guard lock(seen->mutex);
      if (alone) CHECK(inside == 1);
      if (alone) CHECK(seen->done.size() == static_cast<std::size_t>(i));
      seen->done.insert(i);
      --seen->inside;
    };
    alone ? rig.destination->put_alone(work) : rig.destination->put(work);
  }
  rig.destination->run(nothing);
  CHECK(std::set<int>(seen->done.begin(), seen->done.end()).size() == 200);
  CHECK(seen->done.size() == 200);
  CHECK(seen->most <= 2);
}

TEST_CASE("what fails on its way comes out of the next call; what was handed over after it is not done, and let go") {
  Rig rig;
  const auto owned = std::make_shared<int>();
  rig.destination->put([barrier = rig.barrier](CheckpointTarget&) {
    barrier->wait();
    throw DestinationFull("no room");
  });
  rig.barrier->wait_for_visitor();
  rig.destination->put_alone([owned, fate = rig.fate](CheckpointTarget&) { ++fate->done; });
  rig.destination->put([owned, fate = rig.fate](CheckpointTarget&) { ++fate->done; });
  rig.barrier->open();
  CHECK_THROWS_AS(rig.destination->run(rig.count()), DestinationFull);
  CHECK_THROWS_AS(rig.destination->put(rig.count()), DestinationFull);
  CHECK_THROWS_AS(rig.destination->finish(nothing, [](CheckpointTarget& target) { target.seal({}); }), DestinationFull);
  rig.destination.reset();
  CHECK(rig.fate->gone);
  CHECK(rig.fate->done == 0);
  CHECK_FALSE(rig.fate->sealed);
  CHECK(owned.use_count() == 1);
}

TEST_CASE("cancelled with a full queue it ends at once; what was not begun never is, and all is let go at last") {
  Rig rig({std::chrono::hours(1), milliseconds(50)});
  rig.fill();
  std::thread user([&] {
    std::this_thread::sleep_for(milliseconds(10));
    rig.cancellation.request();
  });
  CHECK_THROWS_AS(rig.destination->put(rig.count()), Cancelled);
  user.join();
  rig.destination.reset();
  CHECK_FALSE(rig.fate->gone);
  rig.barrier->open();
  rig.wait_until_gone();
  CHECK(rig.fate->done == 2);
}

TEST_CASE("a guest that stands still does not wait for ever for a destination that hangs with all its buffers") {
  Rig rig({milliseconds(50), milliseconds(50)});
  rig.fill();
  CHECK_THROWS_AS(rig.destination->put(rig.count(), [] { return true; }), Error);
  rig.destination.reset();
  rig.barrier->open();
  rig.wait_until_gone();
  CHECK(rig.fate->done == 2);
}

TEST_CASE("cancelled before sealing has begun it is never sealed, whatever the destination does later") {
  Rig rig({std::chrono::hours(1), milliseconds(50)});
  std::thread user([&] {
    rig.barrier->wait_for_visitor();
    rig.cancellation.request();
  });
  CHECK_THROWS_AS(rig.destination->finish(rig.hang(), [](CheckpointTarget& target) { target.seal({}); }), Cancelled);
  user.join();
  rig.destination.reset();
  rig.barrier->open();
  rig.wait_until_gone();
  CHECK_FALSE(rig.fate->sealed);
}

TEST_CASE("what is dropped while it is being written has never been there, and is not counted") {
  const TemporaryRepository repository;
  const auto slow = std::make_shared<Barrier>();
  Cancellation cancellation;
  NewCheckpoint wanted;
  wanted.repository = repository.path();
  wanted.memory_bytes = kPart;
  const auto open = directed(repository, [slow](const std::string& name) {
    if (name == "memory") slow->wait();
  });
  Destination destination([=] { return open(wanted); }, nothing, cancellation);
  GuestMemory memory(2 << 20);
  CaptureEngine engine(memory);
  const auto capture = make_capture(Strategy::kStop, engine);
  MemoryPart part(destination, *capture, kPart / kPageSize, true, {});
  const auto bytes = std::make_shared<std::vector<std::byte>>(4 * kPageSize, std::byte{1});
  const auto kept = part.put({{0, *bytes}}, bytes);
  const auto first = part.put({{100, *bytes}, {200, *bytes}}, bytes);
  slow->wait_for_visitor();
  part.drop(first);
  slow->open();
  part.put({{100, *bytes}}, bytes);
  destination.run([](CheckpointTarget& target) { target.memory_part().finish(); });
  MemoryReport report;
  part.completion()(report);
  CHECK(report.pages_written == 8);
  CHECK(report.bytes_written == 8 * kPageSize);
  CHECK(bytes.use_count() == 1);
}

}  // namespace tintype
