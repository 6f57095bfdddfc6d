// SPDX-License-Identifier: Apache-2.0
// A guest that does anything at all to a virtio device: its registers, its rings, its requests; a host that
// finishes them in any order and with any error; and somebody who freezes, saves and restores in between, now
// and then from a damaged state.
//
// An input is a list of steps (virtio_steps.h), each a byte and its operands. After every step the device must
// keep its promises (check_promises). Runs under libFuzzer, and by fuzz_main.cpp without it.
#include <bit>
#include <cstdio>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "devices/virtio/blk.h"
#include "devices/virtio/mmio_transport.h"
#include "devices/virtio/rng.h"
#include "devices/virtio/spec.h"
#include "tests/fuzz/byte_source.h"
#include "tests/fuzz/promise.h"
#include "tests/fuzz/virtio_steps.h"
#include "tests/support/bus_access.h"
#include "tests/support/fake_irq_line.h"
#include "tests/support/mock_block_backend.h"
#include "vmm/base/error.h"

namespace tintype {
namespace {

using namespace virtio;

constexpr std::uint64_t kDisk = kVirtioDiskSectors * kSectorSize;

/// What was done in all, said at the end: a number of runs means little without what was done in them.
struct Work {
  std::uint64_t runs = 0, steps = 0, requests = 0;
  ~Work() {
    std::fprintf(stderr, "Done %llu steps in %llu runs, %llu of the disk's requests\n",
                 static_cast<unsigned long long>(steps), static_cast<unsigned long long>(runs),
                 static_cast<unsigned long long>(requests));
  }
} work_done;

/// Guest memory, which is made once, for that costs more than many inputs; what an input wrote is cleared after it.
class Memory {
 public:
  explicit Memory(std::uint64_t size) : guest(size) {
    std::set<std::uint64_t> pages;
    const auto watch = [&](std::uint64_t start, std::uint64_t count) {
      for (; count-- > 0; start += kPageSize) {
        if (const auto page = guest.page_number(Gpa(start))) pages.insert(*page);
      }
    };
    for (const std::uint64_t buffer : kVirtioAddresses) watch(buffer, 4);
    for (const std::uint64_t rings : kVirtioRings) watch(rings, 4);
    watched_.assign(pages.begin(), pages.end());
  }

  /// Makes all zero again. What was written without being marked a checkpoint would miss, so it is looked for where
  /// devices write most.
  void clear() {
    static const std::vector<std::byte> zeros(kPageSize);
    const auto marked = guest.dirty().take();
    for (std::size_t word = 0; word < marked.size(); ++word) {
      for (std::uint64_t bits = marked[word]; bits != 0; bits &= bits - 1) {
        const auto page = word * 64 + static_cast<std::size_t>(std::countr_zero(bits));
        std::memset(guest.page_host(page), 0, kPageSize);
      }
    }
    for (const std::uint64_t page : watched_) {
      const bool was_marked = (marked[page / 64] >> (page % 64) & 1) != 0;
      if (!was_marked && std::memcmp(guest.page_host(page), zeros.data(), kPageSize) != 0) {
        broken_promise("what is written into guest memory is marked dirty");
      }
    }
  }

  GuestMemory guest;

 private:
  std::vector<std::uint64_t> watched_;
};

class Session {
 public:
  Session(ByteSource source, GuestMemory& memory)
      : source_(source), memory_(memory), backend_(kDisk, source_.below(8) == 7), blk_(backend_) {
    backend_.expect_segments_in(memory);
    backend_.hold();
    std::fill(backend_.content().begin(), backend_.content().end(), std::byte{0xd1});
    VirtioDevice& device = source_.below(8) == 7 ? static_cast<VirtioDevice&>(rng_) : blk_;
    saves_at_end_ = source_.below(8) == 7;
    transport_ = std::make_unique<MmioTransport>("fuzz0", memory, irq_, device);
  }

  void run() {
    for (; !source_.empty(); ++work_done.steps) {
      step(virtio_step(source_.take<std::uint8_t>()));
      check_promises();
    }
    finish_everything();
    check_promises();
    if (saves_at_end_) check_state();
    work_done.requests += backend_.transfers() + backend_.flushes();
  }

 private:
  void step(VirtioStep step) {
    switch (step) {
      case VirtioStep::kWriteRegister:
        return write_register();
      case VirtioStep::kReadRegister:
        return read_register();
      case VirtioStep::kStartDriver:
        return start_driver();
      case VirtioStep::kDescriptor:
        return put_descriptor();
      case VirtioStep::kLongChain:
        return put_long_chain();
      case VirtioStep::kAvailable:
        return put_available();
      case VirtioStep::kAvailableIndex:
        return set_available_index(source_.take<std::uint16_t>());
      case VirtioStep::kRequest:
        return put_request();
      case VirtioStep::kKick:
        out(kQueueNotify, 0), transport_->serve_everything();
        return;
      case VirtioStep::kServe:
        return transport_->serve_everything();
      case VirtioStep::kFinish:
        return finish();
      case VirtioStep::kSave:
      case VirtioStep::kSaveRestore:
      case VirtioStep::kRestoreDamaged:
        if (saving_steps_left_ == 0) return;
        --saving_steps_left_;
        return saving_step(step);
      case VirtioStep::kPoke:
        return poke();
      case VirtioStep::kConfigChange:
        return transport_->config_changed();
      case VirtioStep::kCount:
        break;
    }
  }

  void saving_step(VirtioStep step) {
    if (step == VirtioStep::kSave) return check_state();
    if (step == VirtioStep::kSaveRestore) return save_and_restore();
    restore_damaged();
  }

  void out(std::uint64_t offset, std::uint32_t value) { bus_out<std::uint32_t>(*transport_, offset, value); }
  void out_address(std::uint64_t low, std::uint64_t address) {
    out(low, static_cast<std::uint32_t>(address));
    out(low + 4, static_cast<std::uint32_t>(address >> 32));
  }

  std::uint64_t address() { return source_.one_of(kVirtioAddresses) + source_.take<std::uint8_t>() * 16ULL; }
  std::uint32_t length() { return source_.one_of(kVirtioLengths); }

  void write_register() {
    const std::uint64_t offset = source_.one_of(kVirtioRegisters) % kVirtioWindow;
    const std::uint32_t value = source_.one_of(kVirtioValues);
    if (source_.below(16) == 15) return bus_out<std::uint8_t>(*transport_, offset, static_cast<std::uint8_t>(value));
    out(offset, value);
  }
  void read_register() {
    const std::uint64_t offset = source_.one_of(kVirtioRegisters) % kVirtioWindow;
    switch (source_.below(4)) {
      case 0:
        bus_in<std::uint8_t>(*transport_, offset);
        break;
      case 1:
        bus_in<std::uint16_t>(*transport_, offset);
        break;
      case 2:
        bus_in<std::uint32_t>(*transport_, offset);
        break;
      default:
        bus_in<std::uint64_t>(*transport_, offset);
        break;
    }
  }

  void start_driver() {
    out(kStatus, 0);
    out(kStatus, kStatusAcknowledge | kStatusDriver);
    const std::uint32_t features = source_.one_of(kVirtioFeatures);
    out(kDriverFeaturesSel, 0), out(kDriverFeatures, features);
    out(kDriverFeaturesSel, 1), out(kDriverFeatures, 1);
    out(kStatus, kStatusAcknowledge | kStatusDriver | kStatusFeaturesOk);
    size_ = 1U << source_.below(9);
    rings_ = source_.one_of(kVirtioRings);
    available_index_ = 0;
    store(available() + kAvailableIndex, std::uint16_t{0});
    out(kQueueSel, 0), out(kQueueNum, size_);
    out_address(kQueueDescLow, rings_), out_address(kQueueDriverLow, available()), out_address(kQueueDeviceLow, used());
    out(kQueueReady, 1);
    out(kStatus, kStatusAcknowledge | kStatusDriver | kStatusFeaturesOk | kStatusDriverOk);
  }

  std::uint64_t available() const { return rings_ + 0x1000; }
  std::uint64_t used() const { return rings_ + 0x2000; }
  template <typename T>
  void store(std::uint64_t where, const T& value) {
    (void)memory_.store(Gpa(where), value);
  }

  void put_descriptor() {
    const std::uint32_t index = source_.take<std::uint8_t>();
    const Descriptor descriptor{address(), length(), static_cast<std::uint16_t>(source_.take<std::uint8_t>() & 7),
                                source_.take<std::uint8_t>()};
    store((source_.below(4) == 0 ? kVirtioTable : rings_) + index * sizeof descriptor, descriptor);
  }
  void put_long_chain() {
    const std::uint32_t first = source_.take<std::uint8_t>(), count = source_.take<std::uint8_t>();
    const std::uint64_t buffer = address();
    const std::uint32_t bytes = length();
    const auto flags = static_cast<std::uint16_t>(source_.take<std::uint8_t>() & kDescriptorWrite);
    for (std::uint32_t i = 0; i < count; ++i) {
      const std::uint32_t at = (first + i) % size_;
      const auto next = static_cast<std::uint16_t>((at + 1) % size_);
      const auto more = i + 1 < count ? kDescriptorNext : std::uint16_t{0};
      store(rings_ + at * sizeof(Descriptor),
            Descriptor{buffer, bytes, static_cast<std::uint16_t>(flags | more), next});
    }
  }
  void offer(std::uint16_t head) {
    store(available() + available_element(available_index_ % size_), head);
    set_available_index(static_cast<std::uint16_t>(available_index_ + 1));
  }
  void put_available() { offer(source_.take<std::uint8_t>()); }
  void set_available_index(std::uint16_t index) {
    available_index_ = index;
    store(available() + kAvailableIndex, index);
  }

  /// A block request as a driver would make it, in up to 7 buffers, of which one may be anything.
  void put_request() {
    const std::uint32_t type = source_.one_of(kVirtioRequests);
    const std::uint64_t sector = source_.one_of(kVirtioSectors);
    const std::uint32_t buffers = source_.below(6);
    const bool indirect = source_.below(2) == 1;
    const std::uint32_t first = source_.take<std::uint8_t>() % size_;
    const std::uint64_t table = indirect ? kVirtioTable : rings_ + first * sizeof(Descriptor);
    const std::uint64_t header = kVirtioHeaders + first * sizeof(BlkHeader);
    store(header, BlkHeader{type, 0, sector});
    const bool sends = type == kBlkOut || type == kBlkDiscard || type == kBlkWriteZeroes;
    const std::uint16_t direction = sends ? 0 : kDescriptorWrite;
    const std::uint16_t base = static_cast<std::uint16_t>(indirect ? 0 : first);
    const auto next = [&](std::uint32_t n) { return static_cast<std::uint16_t>(base + n + 1); };
    store(table, Descriptor{header, sizeof(BlkHeader), kDescriptorNext, next(0)});
    for (std::uint32_t i = 0; i < buffers; ++i) {
      store(table + (i + 1) * sizeof(Descriptor),
            Descriptor{address(), length(), static_cast<std::uint16_t>(direction | kDescriptorNext), next(i + 1)});
    }
    store(table + (buffers + 1) * sizeof(Descriptor), Descriptor{address(), 1, kDescriptorWrite, 0});
    if (indirect) {
      const auto bytes = static_cast<std::uint32_t>((buffers + 2) * sizeof(Descriptor));
      store(rings_ + first * sizeof(Descriptor), Descriptor{table, bytes, kDescriptorIndirect, 0});
    }
    offer(static_cast<std::uint16_t>(first));
  }

  void finish() {
    if (backend_.pending() == 0) return;
    backend_.finish(source_.take<std::uint8_t>() % backend_.pending(), source_.below(4) == 3 ? EIO : 0);
  }

  /// As far as that goes: one request can be the reason for another, but not for ever.
  void finish_everything() {
    for (int i = 0; i < 8; ++i) {
      transport_->serve_everything();
      if (backend_.pending() == 0) return;
      backend_.finish_all();
    }
    transport_->serve_everything();
  }

  void poke() { store(address(), source_.take<std::uint64_t>()); }

  StateRecord save() {
    transport_->freeze();
    StateRecord record = transport_->save_state();
    transport_->thaw();
    return record;
  }
  void save_and_restore() {
    const StateRecord record = save();
    transport_->restore_state(record);
    if (!(save() == record)) broken_promise("a restored device saves what it was given");
  }
  void restore_damaged() {
    StateRecord record = save();
    StateRecord* at = &record;
    for (;;) {
      StateField& field = at->fields[source_.below(static_cast<std::uint32_t>(at->fields.size()))];
      auto* children = std::get_if<std::vector<StateRecord>>(&field.value);
      if (children == nullptr) {
        damage(field.value);
        break;
      }
      if (children->empty()) return;
      at = &children->front();
    }
    try {
      transport_->check_state(record);
    } catch (const StateError&) {
      return;
    }
    transport_->restore_state(record);
  }
  void damage(StateValue& value) {
    if (auto* number = std::get_if<std::uint64_t>(&value)) *number = source_.one_of(kVirtioStateNumbers);
    if (auto* bytes = std::get_if<StateBytes>(&value)) {
      bytes->resize(source_.below(8));
      for (std::uint8_t& byte : *bytes) byte = source_.take<std::uint8_t>();
    }
  }

  void check_promises() {
    if (!backend_.complaint().empty()) broken_promise("the disk was given " + backend_.complaint());
    const auto status = bus_in<std::uint32_t>(*transport_, kStatus);
    if ((status & ~kStatusKnown) != 0) broken_promise("Status has unknown bits");
    const bool failed = transport_->failure() != QueueError::kNone;
    if (failed && (status & kStatusNeedsReset) == 0) broken_promise("a driver that broke the rules is told");
  }
  /// Throws where a device would not take its own state. Costs more than ten other steps, so not after each.
  void check_state() { transport_->check_state(save()); }

  ByteSource source_;
  GuestMemory& memory_;
  FakeIrqLine irq_;
  MockBlockBackend backend_;
  VirtioBlk blk_;
  VirtioRng rng_;
  std::unique_ptr<MmioTransport> transport_;
  std::uint64_t rings_ = kVirtioRings[0];
  std::uint32_t size_ = 16;
  std::uint16_t available_index_ = 0;
  bool saves_at_end_ = false;
  unsigned saving_steps_left_ = 2;  ///< they would take half of all time: libFuzzer likes what takes many branches
};

}  // namespace
}  // namespace tintype

/// Small inputs make thousands of short-lived objects each: a short trace says enough of where one came from, and what
/// was freed a few inputs ago need not be kept. ASAN_OPTIONS has the last word.
extern "C" const char* __asan_default_options() {
  return "malloc_context_size=4:quarantine_size_mb=1:thread_local_quarantine_size_kb=128";
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tintype;
  static Memory small(kVirtioSmallMemory), large(kVirtioLargeMemory);
  ByteSource source(std::span(data, size));
  Memory& memory = source.below(32) == 31 ? large : small;
  ++work_done.runs;
  Session(source, memory.guest).run();
  memory.clear();
  return 0;
}
