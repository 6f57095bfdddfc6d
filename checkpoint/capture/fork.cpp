// SPDX-License-Identifier: Apache-2.0
#include <optional>

#include "checkpoint/capture/engine_capture.h"
#include "checkpoint/capture/still_life.h"

namespace tintype {

namespace {

/// The kernel's own copy on write: in the pause this process forks, and memory is read out of the child afterwards. No
/// write fault waits for us; but the first write to each page costs the guest a fault in the kernel, which breaks huge
/// pages up. Where the host lets us know what was written, the next checkpoint builds on this one.
class ForkCapture final : public EngineCapture {
 public:
  explicit ForkCapture(CaptureEngine& engine) : EngineCapture(engine, Need::kNothing) {}

  void protect() override {
    engine_.freeze(true);
    still_life_.emplace();
  }
  void copy_out(PageSink& sink) override {
    engine_.drain(sink, [this](const PageSet& pages, const Chunk& chunk, std::span<std::byte> into) {
      read(pages, chunk, into);
    });
    still_life_.reset();
    engine_.mend_huge_pages();
  }
  void give_back() noexcept override {
    still_life_.reset();
    EngineCapture::give_back();
  }

 private:
  void read(const PageSet& pages, const Chunk& chunk, std::span<std::byte> into) {
    pages.for_each_run(chunk.first_page, chunk.pages, [&](std::uint64_t page, std::uint64_t count) {
      const std::uint64_t offset = (page - chunk.first_page) * kPageSize;
      still_life_->read(chunk.bytes().subspan(offset, count * kPageSize), into.data() + offset);
    });
  }

  std::optional<StillLife> still_life_;
};

}  // namespace

std::unique_ptr<MemoryCapture> make_fork(CaptureEngine& engine) { return std::make_unique<ForkCapture>(engine); }

}  // namespace tintype
