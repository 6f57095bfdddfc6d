// SPDX-License-Identifier: Apache-2.0
// A machine.state that somebody else wrote, and all who take a record out of it. The input is the file; it is read as
// it is, and once more with its length and checksum set right, so that a change of one byte is not the end of it.
#include <array>
#include <cstring>

#include "checkpoint/state/codec.h"
#include "checkpoint/state/platform_state.h"
#include "checkpoint/state/platform_state_v1.h"
#include "checkpoint/state/vcpu_state.h"
#include "checkpoint/state/vcpu_state_v1.h"
#include "devices/acpi_pm.h"
#include "devices/debug_exit.h"
#include "devices/i8042.h"
#include "devices/rtc.h"
#include "devices/uart16550.h"
#include "devices/virtio/blk.h"
#include "devices/virtio/mmio_transport.h"
#include "devices/virtio/rng.h"
#include "tests/fuzz/generator.h"
#include "tests/fuzz/promise.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_irq_line.h"
#include "tests/support/fake_serial_sink.h"
#include "tests/support/mock_block_backend.h"
#include "vmm/base/checksum.h"
#include "vmm/base/little_endian.h"

namespace tintype {
namespace {

constexpr std::size_t kFileBytesOffset = 16, kSmallestFile = 32;

/// The devices of a machine that is being restored: new for every input, for a restored device keeps what it was given.
struct Devices {
  explicit Devices(GuestMemory& memory) : disk0("disk0", memory, irq, blk), rng0("rng0", memory, irq, rng) {}
  FakeIrqLine irq;
  FakeClock clock;
  FakeSerialSink sink;
  Uart16550 uart{"uart0", irq, sink};
  Rtc rtc{clock};
  I8042 keyboard{irq, [] {}};
  DebugExit debug_exit{[](int) {}};
  AcpiPm pm{irq, clock, [] {}, [] {}};
  MockBlockBackend backend{64 << 10};
  VirtioBlk blk{backend};
  VirtioRng rng;
  MmioTransport disk0, rng0;
  std::array<Stateful*, 7> things = {&uart, &rtc, &keyboard, &debug_exit, &pm, &disk0, &rng0};
};

GuestMemory& shared_memory() {
  static GuestMemory memory(kMinimumMemory);
  return memory;
}

StateRecord sample_vcpu() {
  VcpuStateV1 vcpu;
  vcpu.cpuid.resize(2);
  vcpu.msrs.resize(2);
  vcpu.lapic.resize(1024);
  vcpu.debug.resize(6);
  vcpu.xsave.resize(576);
  vcpu.extended_control = {0, 1};
  vcpu.system.interrupt_bitmap.resize(4);
  return to_record(vcpu);
}

std::vector<NamedState> sample_states(std::mt19937_64& random) {
  Devices devices(shared_memory());
  std::vector<NamedState> all = {{"vcpu0", sample_vcpu()},
                                 {"irqchip", to_record(IrqchipStateV1{})},
                                 {"pit", to_record(PitStateV1{std::vector<PitChannelStateV1>(3), 0})},
                                 {"kvmclock", to_record(ClockStateV1{})}};
  for (const Stateful* thing : devices.things) all.push_back({thing->state_name(), thing->save_state()});
  std::vector<NamedState> some;
  for (NamedState& state : all) {
    if (random() % 4 == 0) some.push_back(std::move(state));
  }
  return some;
}

template <typename Function>
bool taken(Function function) {
  try {
    function();
    return true;
  } catch (const StateError&) {
    return false;
  }
}

void restore(Stateful& thing, const StateRecord& record) {
  if (!taken([&] { thing.check_state(record); })) return;
  thing.restore_state(record);
  if (!taken([&] { thing.check_state(thing.save_state()); }))
    broken_promise(thing.state_name() + " takes the state that it saves");
}

void use(const NamedState& state, Devices& devices) {
  static const std::vector<kvm_cpuid_entry2> nothing_offered;
  const StateRecord& record = state.record;
  taken([&] { VcpuState::check(record, nothing_offered); });
  taken([&] { IrqchipState::check(record); });
  taken([&] { PitState::check(record); });
  taken([&] { ClockState::check(record); });
  for (Stateful* thing : devices.things) {
    if (thing->state_name() == state.name) restore(*thing, record);
  }
}

void read(std::span<const std::byte> bytes) {
  std::vector<NamedState> states;
  if (!taken([&] { states = decode_states(bytes, "input"); })) return;
  if (!std::ranges::equal(encode_states(states), bytes)) broken_promise("what was read is written as it was");
  if (states_as_json(states).empty()) broken_promise("states can be shown");
  Devices devices(shared_memory());
  for (const NamedState& state : states) use(state, devices);
}

void seal(std::span<std::byte> file) {
  store_number<std::uint64_t>(file, kFileBytesOffset, file.size());
  const auto body = file.first(file.size() - 8);
  store_number(file, body.size(), checksum_of(body));
}

}  // namespace

std::vector<std::uint8_t> generate_input(std::mt19937_64& random) {
  const auto bytes = encode_states(sample_states(random));
  std::vector<std::uint8_t> input(bytes.size());
  std::memcpy(input.data(), bytes.data(), bytes.size());
  return input;
}

}  // namespace tintype

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tintype;
  const auto given = std::as_bytes(std::span(data, size));
  read(given);
  if (size < kSmallestFile) return 0;
  std::vector<std::byte> file(given.begin(), given.end());
  seal(file);
  read(file);
  return 0;
}
