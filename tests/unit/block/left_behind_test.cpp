// SPDX-License-Identifier: Apache-2.0
// A host that hangs while a fresh redo log is being made: nobody need wait for it.

#include <atomic>
#include <chrono>
#include <filesystem>
#include <memory>
#include <thread>

#include <doctest/doctest.h>

#include "tests/support/host_calls.h"
#include "tests/support/scripted_target.h"
#include "tests/unit/block/test_disk.h"

namespace tintype {
namespace {

/// A thread that prepares a disk's switch on a host that hangs at a sync (the first makes a fresh log durable, the
/// second its name), until it is let go.
class HangingPreparation {
 public:
  explicit HangingPreparation(VirtualDisk& disk, int at_sync = 1)
      : thread_([work = disk.switch_preparation(), hang = hang_, at_sync]() mutable {
          const HostCalls calls([hang, left = at_sync](HostCalls::Moment moment, const auto&) mutable {
            if (moment == HostCalls::Moment::kBeforeSync && --left == 0) hang->wait();
            return 0;
          });
          try {
            work();
          } catch (const Error&) {  // nobody wants it any more
          }
          work = nullptr;
        }) {
    hang_->wait_for_visitor();
  }
  ~HangingPreparation() { let_go(); }
  HangingPreparation(const HangingPreparation&) = delete;
  HangingPreparation& operator=(const HangingPreparation&) = delete;

  /// Returns when the thread has ended.
  void let_go() {
    hang_->open();
    if (thread_.joinable()) thread_.join();
  }

 private:
  const std::shared_ptr<Barrier> hang_ = std::make_shared<Barrier>();
  std::thread thread_;
};

bool is_marked(const std::filesystem::path& image) { return RawFile::open(image, true)->mark().has_value(); }

}  // namespace

TEST_CASE("a disk whose fresh log hangs works on when nobody waits for it any more, and the half-made log goes") {
  for (const int sync : {1, 2}) {
    CAPTURE(sync);
    const TempDir directory;
    const auto image = directory.image(1 << 20);
    TestDisk test(image);
    CHECK(test.driver->fill(0, 4096, 0x11) == 0);
    HangingPreparation hanging(*test.disk, sync);
    test.disk->cancel_switch();
    CHECK(test.driver->fill(4096, 4096, 0x22) == 0);
    CHECK(test.driver->flush() == 0);
    CHECK(test.driver->holds(0, 4096, 0x11));
    CHECK(test.disk->log_count() == 0);

    hanging.let_go();
    CHECK(logs_in(directory.path()).empty());
    auto frozen = test.freeze();  // and the next one is a whole one
    CHECK(test.driver->fill(0, 4096, 0x33) == 0);
    CHECK(frozen_holds(*frozen, 0, 4096, 0x11));
    CHECK(frozen_holds(*frozen, 4096, 4096, 0x22));
    frozen.reset();
    test.disk->close();
    CHECK(logs_in(directory.path()).empty());
    CHECK_FALSE(is_marked(image));
  }
}

TEST_CASE("what wants a log next waits for one that was left behind, and has its own when the host answers") {
  const TempDir directory;
  TestDisk test(directory.image(1 << 20));
  HangingPreparation hanging(*test.disk);
  test.disk->cancel_switch();
  std::atomic<bool> ready = false;
  std::thread next([work = test.disk->switch_preparation(), &ready] {
    work();
    ready = true;
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  CHECK_FALSE(ready);
  hanging.let_go();
  next.join();
  CHECK(logs_in(directory.path()).size() == 1);
  const auto frozen = test.disk->switch_to_fresh_log();
  CHECK(test.driver->fill(0, 4096, 0x11) == 0);
  CHECK(frozen_holds(*frozen, 0, 4096, 0));
}

TEST_CASE("a disk is closed though a log of it still hangs, and what is left touches it no more") {
  for (const int sync : {1, 2}) {
    CAPTURE(sync);
    const TempDir directory;
    const auto image = directory.image(1 << 20);
    auto test = std::make_unique<TestDisk>(image);
    HangingPreparation hanging(*test->disk, sync);
    CHECK(test->driver->fill(0, 4096, 0x11) == 0);
    const auto before = std::chrono::steady_clock::now();
    test->disk->close();
    CHECK(std::chrono::steady_clock::now() - before < std::chrono::seconds(20));
    test.reset();

    {
      TestDisk again(image);
      CHECK(again.driver->holds(0, 4096, 0x11));
      auto frozen = again.freeze();
      CHECK(again.driver->fill(0, 4096, 0x22) == 0);
      hanging.let_go();
      CHECK(again.driver->holds(0, 4096, 0x22));
    }  // as if killed: its log is all there is of that
    TestDisk third(image);
    CHECK(third.driver->holds(0, 4096, 0x22));
  }
}

TEST_CASE("a disk that is closed while a log of it hangs keeps the others for the next time") {
  const TempDir directory;
  const auto image = directory.image(1 << 20);
  auto test = std::make_unique<TestDisk>(image);
  auto frozen = test->freeze();  // nothing is committed
  CHECK(test->driver->fill(0, 4096, 0x11) == 0);
  HangingPreparation hanging(*test->disk);
  frozen.reset();
  CHECK_THROWS_WITH_AS(test->disk->close(), doctest::Contains("hangs"), Error);
  test.reset();
  hanging.let_go();
  TestDisk again(image);
  CHECK(again.driver->holds(0, 4096, 0x11));
}

}  // namespace tintype
