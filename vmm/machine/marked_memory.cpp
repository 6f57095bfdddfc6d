// SPDX-License-Identifier: Apache-2.0
#include "vmm/machine/marked_memory.h"

#include <sys/mman.h>

#include <bit>
#include <cstring>
#include <exception>
#include <utility>

#include "checkpoint/tracking/page_map.h"
#include "vmm/base/log.h"
#include "vmm/kvm/capabilities.h"

namespace tintype {

namespace {

/// KVM forgets what it made of the guest's page tables when its memory goes away. It comes back with nothing written.
void forget_page_tables(KvmVm& vm, std::uint32_t slot, const MemoryRegion& region) {
  for (const std::uint64_t size : {std::uint64_t{0}, region.size})
    vm.set_memory(slot, region.start.value(), size, region.host, KVM_MEM_LOG_DIRTY_PAGES);
}

}  // namespace

MarkedMemory::MarkedMemory(GuestMemory& memory, KvmVm& vm) : memory_(memory), vm_(vm) {
  PageMap there;
  for (const MemoryRegion& region : memory.regions()) {
    Part& part = parts_.emplace_back(Part{region, Mapping::anonymous(region.size, kHugePageSize), {}});
    part.copy.advise(MADV_HUGEPAGE);
    part.written.resize((region.size / kPageSize + 63) / 64);
    there.find_present({region.host, region.size}, [&](std::uint64_t offset, std::uint64_t bytes) {
      std::memcpy(part.copy.data() + offset, region.host + offset, bytes);
    });
  }
  memory.dirty().take();
  log_writes(true);
}

MarkedMemory::~MarkedMemory() {
  try {
    log_writes(false);
  } catch (const std::exception& error) {
    log_note("KVM goes on noting what the guest writes: {}", error.what());
  }
}

void MarkedMemory::log_writes(bool on) {
  for (std::size_t slot = 0; slot < parts_.size(); ++slot) {
    const MemoryRegion& region = parts_[slot].region;
    vm_.set_memory(static_cast<std::uint32_t>(slot), region.start.value(), region.size, region.host,
                   on ? KVM_MEM_LOG_DIRTY_PAGES : 0);
  }
}

// What is collected stays there until it is used, whatever fails.
void MarkedMemory::collect_written() {
  std::vector<std::uint64_t> by_guest;
  for (std::size_t slot = 0; slot < parts_.size(); ++slot) {
    std::vector<std::uint64_t>& written = parts_[slot].written;
    by_guest.resize(written.size());
    vm_.take_dirty_log(static_cast<std::uint32_t>(slot), by_guest);
    for (std::size_t word = 0; word < written.size(); ++word) written[word] |= by_guest[word];
  }
  const std::vector<std::uint64_t> by_devices = memory_.dirty().take();
  for (Part& part : parts_)
    for (std::size_t word = 0; word < part.written.size(); ++word)
      part.written[word] |= by_devices[part.region.first_page / 64 + word];
}

/// Calls visit(part, offset in it) for each page, which does not count as written any more. Returns how many.
template <typename Visit>
std::uint64_t MarkedMemory::for_each_written(const Visit& visit) {
  std::uint64_t pages = 0;
  for (Part& part : parts_) {
    for (std::size_t word = 0; word < part.written.size(); ++word) {
      for (std::uint64_t bits = std::exchange(part.written[word], 0); bits != 0; bits &= bits - 1, ++pages)
        visit(part, (word * 64 + static_cast<std::uint64_t>(std::countr_zero(bits))) * kPageSize);
    }
  }
  return pages;
}

// All that may fail comes before the first page is changed. Any page may be one of the guest's page tables, of any of
// its processes.
std::uint64_t MarkedMemory::go_back() {
  static const bool shadows = shadows_page_tables();
  collect_written();
  for (std::size_t slot = 0; shadows && slot < parts_.size(); ++slot)
    forget_page_tables(vm_, static_cast<std::uint32_t>(slot), parts_[slot].region);
  return for_each_written([](const Part& part, std::uint64_t offset) {
    std::memcpy(part.region.host + offset, part.copy.data() + offset, kPageSize);
  });
}

void MarkedMemory::take_again() {
  collect_written();
  for_each_written([](const Part& part, std::uint64_t offset) {
    std::memcpy(part.copy.data() + offset, part.region.host + offset, kPageSize);
  });
}

}  // namespace tintype
