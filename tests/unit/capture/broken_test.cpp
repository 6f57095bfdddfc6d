// SPDX-License-Identifier: Apache-2.0
// Strategies that are broken on purpose, each in two ways: what the tests of sound ones look at must be torn then.
#include <doctest/doctest.h>

#include "checkpoint/capture/engine.h"
#include "tests/unit/capture/capture_rig.h"
#include "tests/unit/capture/wrapped_capture.h"

namespace tintype {

namespace {

constexpr std::uint64_t kTwelveChunks = 12 * kHugePageSize;

/// Does not protect the first chunk of memory.
class ForgetfulUserfault final : public Userfault {
 public:
  explicit ForgetfulUserfault(const GuestMemory& memory) : forgotten_(memory.regions().front().host) {}
  void protect(std::span<std::byte> range) override {
    if (range.data() == forgotten_) range = range.subspan(kHugePageSize);
    if (!range.empty()) Userfault::protect(range);
  }

 private:
  const std::byte* const forgotten_;
};

/// Takes for the instant what is a while later.
class LateCapture final : public WrappedCapture {
 public:
  using WrappedCapture::WrappedCapture;
  void protect() override {}
  bool copies_while_paused() const noexcept override { return false; }
  void copy_out(PageSink& sink) override {
    real_->protect();
    real_->copy_out(sink);
  }
};

using MakeCapture = std::unique_ptr<MemoryCapture> (*)(Strategy, CaptureEngine&);

/// A machine that writes to each of its pages before the instant, and after it.
class BusyMachine {
 public:
  BusyMachine(Strategy strategy, MakeCapture make, bool forgetful)
      : memory_(kTwelveChunks),
        engine_(
            memory_, [this, forgetful] { return make_userfault(forgetful); }, Tracking::kProtection),
        capture_(make(strategy, engine_)) {
    write_everywhere();
  }

  /// What the picture shows is the instant.
  bool takes_a_true_picture() {
    KeptPages pages(memory_);
    pages.contents = picture_;
    capture_->prepare({kTwelveChunks, !engine_.knows_what_was_written()}, {});
    capture_->precopy(pages);
    write_everywhere();
    const std::vector<std::byte> instant = copy_of(memory_);
    capture_->protect();
    if (capture_->copies_while_paused()) capture_->copy_out(pages);
    write_everywhere();
    if (!capture_->copies_while_paused()) capture_->copy_out(pages);
    pages.finish();
    capture_->keep();
    picture_ = pages.contents;
    return picture_ == instant;
  }

 private:
  std::unique_ptr<Userfault> make_userfault(bool forgetful) const {
    if (forgetful) return std::make_unique<ForgetfulUserfault>(memory_);
    return std::make_unique<Userfault>();
  }
  void write_everywhere() {
    ++written_;
    for (std::uint64_t at = 0; at < memory_.size(); at += kPageSize) REQUIRE(memory_.store(Gpa(at), at + written_));
  }

  GuestMemory memory_;
  CaptureEngine engine_;
  std::unique_ptr<MemoryCapture> capture_;
  std::uint64_t written_ = 0;
  std::vector<std::byte> picture_ = std::vector<std::byte>(kTwelveChunks);
};

std::unique_ptr<MemoryCapture> make_late(Strategy strategy, CaptureEngine& engine) {
  return std::make_unique<LateCapture>(make_capture(strategy, engine));
}

}  // namespace

TEST_CASE("a strategy that misses the instant, or a write, is found out, whichever it is") {
  if (const std::string problem = no_write_protection(); !problem.empty()) SKIP_TEST(problem);
  for (const StrategyRow& row : strategies()) {
    CAPTURE(name_of(row.strategy));
    BusyMachine sound(row.strategy, make_capture, false);
    CHECK(sound.takes_a_true_picture());
    CHECK(sound.takes_a_true_picture());
    BusyMachine late(row.strategy, make_late, false);
    CHECK_FALSE(late.takes_a_true_picture());
    BusyMachine forgetful(row.strategy, make_capture, true);
    const bool first = forgetful.takes_a_true_picture();
    const bool both = forgetful.takes_a_true_picture() && first;  // what it does not notice is not saved the next time
    CHECK_FALSE(both);
  }
}

}  // namespace tintype
