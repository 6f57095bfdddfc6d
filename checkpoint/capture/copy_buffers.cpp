// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/capture/copy_buffers.h"

#include <sys/mman.h>

#include <mutex>
#include <utility>
#include <vector>

#include "vmm/base/mapping.h"
#include "vmm/memory/gpa.h"

namespace tintype {

struct CopyBuffers::Shelf {
  struct One {
    Mapping memory;
    std::span<std::byte> bytes;
  };
  std::mutex mutex;  // guards the rest
  std::vector<std::unique_ptr<One>> here;
};

CopyBuffers::CopyBuffers() : shelf_(std::make_shared<Shelf>()) {}

CopyBuffers::Buffer CopyBuffers::take() {
  std::unique_ptr<Shelf::One> one;
  {
    const std::lock_guard lock(shelf_->mutex);
    if (!shelf_->here.empty()) {
      one = std::move(shelf_->here.back());
      shelf_->here.pop_back();
    }
  }
  if (!one) {
    Mapping memory = Mapping::anonymous(kHugePageSize, kHugePageSize);
    memory.advise(MADV_HUGEPAGE);
    memory.advise(MADV_DONTFORK);
    const auto bytes = memory.bytes();
    one = std::make_unique<Shelf::One>(Shelf::One{std::move(memory), bytes});
  }
  const auto* bytes = &one->bytes;
  return {bytes, [shelf = shelf_, one = one.release()](const std::span<std::byte>*) {
            std::unique_ptr<Shelf::One> back(one);
            const std::lock_guard lock(shelf->mutex);
            shelf->here.push_back(std::move(back));
          }};
}

void CopyBuffers::keep(std::size_t count) noexcept {
  std::vector<std::unique_ptr<Shelf::One>> gone;
  const std::lock_guard lock(shelf_->mutex);
  for (; shelf_->here.size() > count; shelf_->here.pop_back()) gone.push_back(std::move(shelf_->here.back()));
}

}  // namespace tintype
