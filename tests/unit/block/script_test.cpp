// SPDX-License-Identifier: Apache-2.0
// A host that fails once, at the n-th of its operations, for every n of a run that does all that a disk does: what was
// acknowledged is there, and what a sync has lost is not forgotten.
#include <array>

#include <doctest/doctest.h>

#include "tests/unit/block/test_disk.h"

namespace tintype {
namespace {

constexpr std::uint64_t kBlock = 4096;
constexpr std::size_t kBlocks = 16;

/// Writes, discards, flushes and freezes as a script says. Each block may hold what was acknowledged last, or what was
/// tried since.
class Script {
 public:
  Script(const DiskOptions& options, int fail_at, int error_number)
      : writes_base_(options.mode == DiskMode::kPersistent), test_(options) {
    test_.io->fail = [this, fail_at, error_number](const HostIo& io) {
      if (operations_++ != fail_at) return 0;
      failed_sync_ = io.kind == HostIo::Kind::kSync && layer_of(io).extension() != ".redo";
      return error_number;
    };
  }

  void run() {
    for (const bool stacked : {false, true}) {
      if (stacked) frozen_ = test_.freeze();
      write(0, 4), flush(), write(2, 4), zero(1, 3), write(3, 2), flush(), zero(8, 4), write(9, 1), flush();
    }
    frozen_->wait_for_old_io(10'000);
    frozen_.reset();
    commit();
    write(5, 2), flush();
  }

  int operations() const { return operations_; }
  const std::string& wrong() const { return wrong_; }

 private:
  void write(std::size_t first, std::size_t count) {
    const auto tag = static_cast<std::uint8_t>(++last_tag_);
    note(first, count, tag, test_.driver->fill(first * kBlock, count * kBlock, tag));
  }
  void zero(std::size_t first, std::size_t count) {
    note(first, count, 0, test_.driver->zero(first * kBlock, count * kBlock));
  }
  void note(std::size_t first, std::size_t count, std::uint8_t tag, int result) {
    for (std::size_t i = first; i < first + count; ++i) {
      if (result == 0) possible_[i].clear();
      possible_[i].push_back(tag);
    }
    check_contents();
  }
  void flush() {
    const int result = test_.driver->flush();
    if (failed_sync_ && result == 0) complain("a flush succeeds although the host has lost data of the image");
  }
  void commit() {
    auto outcome = std::make_shared<std::promise<std::string>>();
    test_.disk->start_commit([outcome](const std::string& error) { outcome->set_value(error); });
    const std::string error = outcome->get_future().get();
    if (writes_base_ && failed_sync_ && error.empty())
      complain("a commit succeeds although the host has lost data of the image");
    check_contents();
  }
  void check_contents() {
    const auto fail = std::exchange(test_.io->fail, nullptr);
    for (std::size_t i = 0; i < kBlocks; ++i) {
      const bool known = std::any_of(possible_[i].begin(), possible_[i].end(),
                                     [&](std::uint8_t tag) { return test_.driver->holds(i * kBlock, kBlock, tag); });
      if (!known) complain(fmt::format("block {} holds nothing that was written to it last", i));
    }
    test_.io->fail = fail;
  }
  void complain(std::string what) {
    if (wrong_.empty()) wrong_ = std::move(what);
  }

  const bool writes_base_;
  ScriptedDisk test_;
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
