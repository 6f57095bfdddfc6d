// SPDX-License-Identifier: Apache-2.0
#include "vmm/machine/disk_adapter.h"

#include "vmm/base/log.h"

namespace tintype {

namespace {

constexpr int kOldIoLimitMs = 60'000;

class FrozenDiskSource final : public FrozenSource {
 public:
  explicit FrozenDiskSource(std::unique_ptr<FrozenDisk> disk) : disk_(std::move(disk)) {}
  std::uint64_t size() const noexcept override { return disk_->size(); }
  void wait_until_readable() override { disk_->wait_for_old_io(kOldIoLimitMs); }
  void read(std::uint64_t offset, std::span<std::byte> into) override { disk_->read(offset, into); }
  std::optional<Range> next_data(std::uint64_t offset) override {
    const auto range = disk_->next_data(offset);
    return range ? std::optional(Range{range->offset, range->length}) : std::nullopt;
  }

 private:
  std::unique_ptr<FrozenDisk> disk_;
};

class FreezableVirtualDisk final : public FreezableDisk {
 public:
  explicit FreezableVirtualDisk(VirtualDisk& disk) : disk_(disk) {}
  std::string id() const override { return disk_.options().id; }
  void prepare_switch() override { disk_.prepare_switch(); }
  void cancel_switch() noexcept override { disk_.cancel_switch(); }
  std::unique_ptr<FrozenSource> switch_to_fresh_log() noexcept override {
    return std::make_unique<FrozenDiskSource>(disk_.switch_to_fresh_log());
  }
  void fold() noexcept override;

 private:
  VirtualDisk& disk_;
};

// A fold that fails loses nothing: the logs stay and are read through; the next checkpoint or the end of the machine
// tries again.
void FreezableVirtualDisk::fold() noexcept {
  try {
    disk_.start_fold([id = id()](const std::string& error) {
      if (!error.empty()) log_note("{}: the redo logs could not be folded into the image and are kept: {}", id, error);
    });
  } catch (const std::exception& error) {
    log_note("{}: folding the redo logs could not be started, and they are kept: {}", id(), error.what());
  }
}

}  // namespace

std::unique_ptr<FreezableDisk> make_freezable(VirtualDisk& disk) {
  return std::make_unique<FreezableVirtualDisk>(disk);
}

}  // namespace tintype
