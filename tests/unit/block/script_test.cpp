// SPDX-License-Identifier: Apache-2.0
// A host that fails once, at the n-th of its operations, for every n of a run that does all that a disk does, on
// whatever thread: what was acknowledged is there, then and at the end, and what a sync has lost is not forgotten.
#include <unistd.h>

#include <array>
#include <atomic>
#include <functional>

#include <doctest/doctest.h>

#include "devices/block/image_tools.h"
#include "tests/support/host_calls.h"
#include "tests/unit/block/test_disk.h"

namespace tintype {
namespace {

constexpr std::uint64_t kBlock = 4096;
constexpr std::size_t kBlocks = 16;

/// Writes, discards, flushes, freezes and commits as a script says, is killed, and has its logs committed afterwards.
/// Each block may hold what was acknowledged last, or what was tried since. One call by which a file is changed, named
/// or made to last fails, whoever makes it; so what fails is tried once more.
class Script {
 public:
  Script(const DiskOptions& options, int fail_at, int error_number)
      : options_(options), fail_at_(fail_at), error_number_(error_number) {}

  void run() {
    const HostCalls calls(
        [this](HostCalls::Moment moment, const std::filesystem::path& file) { return shown(moment, file); },
        HostCalls::Of::kEveryThread);
    twice([this] { open(); });
    for (const bool stacked : {false, true}) {
      if (stacked) freeze();
      write(0, 4), flush(), write(2, 4), zero(1, 3), write(3, 2), flush(), zero(8, 4), write(9, 1), flush();
    }
    twice([this] { frozen_->wait_for_old_io(10'000); });
    frozen_.reset();
    commit();
    write(5, 2), flush();
    freeze();
    write(10, 3), zero(11, 1), flush();
    frozen_.reset();
    test_.reset();
    if (options_.mode != DiskMode::kNonpersistent) twice([this] { commit_image(options_.image, {}); });
  }

  /// What the image holds when all is over.
  void look_at_image() {
    for (auto& possible : possible_)
      if (options_.mode == DiskMode::kNonpersistent) possible = {0};
    TestDisk test(options_for(options_.image));
    if (test.disk->log_count() != 0 || !logs_in(options_.image.parent_path()).empty()) complain("a log is left");
    check_contents(*test.driver);
    test.disk->close();
  }

  int operations() const { return operations_; }
  const std::string& wrong() const { return wrong_; }

 private:
  int shown(HostCalls::Moment moment, const std::filesystem::path& file) {
    using Moment = HostCalls::Moment;
    if (moment != Moment::kBeforeWrite && moment != Moment::kBeforeDataSync && moment != Moment::kBeforeSync) return 0;
    if (operations_++ != fail_at_) return 0;
    failed_sync_ = test_ != nullptr && moment == Moment::kBeforeDataSync && file == options_.image;
    return error_number_;
  }

  void twice(const std::function<void()>& attempt) {
    try {
      attempt();
    } catch (const std::exception&) {
      attempt();
    }
  }

  void open() {
    test_.reset();
    test_ = std::make_unique<ScriptedDisk>(options_);
    test_->io->fail = [](const HostIo& io) {
      return io.kind == HostIo::Kind::kSync && ::fdatasync(io.fd) != 0 ? errno : 0;  // the engine does none
    };
  }
  void freeze() {
    twice([this] { test_->disk->prepare_switch(); });
    frozen_ = test_->disk->switch_to_fresh_log();
  }
  void write(std::size_t first, std::size_t count) {
    const auto tag = static_cast<std::uint8_t>(++last_tag_);
    note(first, count, tag, test_->driver->fill(first * kBlock, count * kBlock, tag));
  }
  void zero(std::size_t first, std::size_t count) {
    note(first, count, 0, test_->driver->zero(first * kBlock, count * kBlock));
  }
  void note(std::size_t first, std::size_t count, std::uint8_t tag, int result) {
    for (std::size_t i = first; i < first + count; ++i) {
      if (result == 0) possible_[i].clear();
      possible_[i].push_back(tag);
    }
    check_contents(*test_->driver);
  }
  void flush() {
    const int result = test_->driver->flush();
    if (failed_sync_ && result == 0) complain("a flush succeeds although the host has lost data of the image");
  }
  void commit() {
    auto outcome = std::make_shared<std::promise<std::string>>();
    test_->disk->start_commit([outcome](const std::string& error) { outcome->set_value(error); });
    const std::string error = outcome->get_future().get();
    if (options_.mode == DiskMode::kPersistent && failed_sync_ && error.empty())
      complain("a commit succeeds although the host has lost data of the image");
    check_contents(*test_->driver);
  }
  void check_contents(DiskDriver& driver) {
    for (std::size_t i = 0; i < kBlocks; ++i) {
      const bool known = std::any_of(possible_[i].begin(), possible_[i].end(),
                                     [&](std::uint8_t tag) { return driver.holds(i * kBlock, kBlock, tag); });
      if (!known) complain(fmt::format("block {} holds nothing that was written to it last", i));
    }
  }
  void complain(std::string what) {
    if (wrong_.empty()) wrong_ = std::move(what);
  }

  const DiskOptions options_;
  const int fail_at_, error_number_;
  std::unique_ptr<ScriptedDisk> test_;
  std::unique_ptr<FrozenDisk> frozen_;
  std::atomic<int> operations_ = 0;
  std::atomic<bool> failed_sync_ = false;
  unsigned last_tag_ = 0;
  std::array<std::vector<std::uint8_t>, kBlocks> possible_ = [] {
    std::array<std::vector<std::uint8_t>, kBlocks> zeros;
    zeros.fill({0});
    return zeros;
  }();
  std::string wrong_;
};

void fail_at_each(DiskMode mode, int error_number) {
  int last = 1;
  for (int n = 0; n < last; ++n) {
    CAPTURE(n);
    CAPTURE(error_number);
    const TempDir directory(std::filesystem::exists("/dev/shm") ? "/dev/shm" : std::filesystem::temp_directory_path());
    DiskOptions options = options_for(directory.image(kBlocks * kBlock));
    options.mode = mode;
    Script script(options, n, error_number);
    script.run();
    script.look_at_image();
    CHECK(script.wrong() == "");
    last = script.operations();
  }
  CHECK(last > 8);
}

}  // namespace

TEST_CASE("the host fails at each operation of a run in turn, and nothing acknowledged is lost") {
  for (const DiskMode mode : {DiskMode::kPersistent, DiskMode::kUndoable, DiskMode::kNonpersistent}) {
    fail_at_each(mode, EIO);
    fail_at_each(mode, ENOSPC);
  }
}

}  // namespace tintype
