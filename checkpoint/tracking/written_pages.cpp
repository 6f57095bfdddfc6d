// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/tracking/written_pages.h"

#include "vmm/base/error.h"
#include "vmm/base/mapping.h"

namespace tintype {

std::string WrittenPages::problem() {
  try {
    const Mapping page = Mapping::anonymous(kPageSize, kPageSize);
    const AsyncUserfault userfault;
    userfault.watch(page.bytes());
    PageMap().take_written(page.bytes(), [](std::uint64_t, std::uint64_t) {});
    return {};
  } catch (const std::exception&) {
    return "this kernel does not note what is written to: use Linux 6.7 or newer, with CONFIG_USERFAULTFD=y";
  }
}

WrittenPages::WrittenPages(const ChunkTable& chunks) : chunks_(chunks) {
  chunks_.for_each_region([&](std::size_t first, std::size_t count) { userfault_.watch(chunks_.bytes(first, count)); });
}

WrittenPages::~WrittenPages() {
  chunks_.for_each_region(
      [&](std::size_t first, std::size_t count) { userfault_.stop_watching(chunks_.bytes(first, count)); });
}

void WrittenPages::take(std::size_t first_chunk, std::size_t chunks, PageSet& into) {
  const std::uint64_t first_page = chunks_[first_chunk].first_page;
  map_.take_written(chunks_.bytes(first_chunk, chunks), [&](std::uint64_t offset, std::uint64_t bytes) {
    into.add(first_page + offset / kPageSize, bytes / kPageSize);
  });
}

}  // namespace tintype
