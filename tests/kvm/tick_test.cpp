// SPDX-License-Identifier: Apache-2.0
// The local APIC's periodic timer: each tick is in the counter of the guest or waiting in the saved state, once.
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstring>
#include <random>
#include <thread>

#include <doctest/doctest.h>

#include "checkpoint/state/vcpu_state.h"
#include "checkpoint/state/vcpu_state_v1.h"
#include "vmm/base/mapping.h"
#include "vmm/kvm/system.h"
#include "vmm/machine/vcpu_thread.h"

namespace tintype::test {

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::duration;
using std::chrono::microseconds;

constexpr std::uint32_t kVector = 0x40;
constexpr std::uint64_t kMain = 0x1000, kHandler = 0x1100, kCounter = 0x2000;
constexpr std::uint32_t kPeriodNs = 20'000'000;

// Real mode, 16 bits.
constexpr std::uint8_t kPort = 0x10;
constexpr std::array<std::uint8_t, 5> kTalkingCode = {0xfb,                           // sti
                                                      0xe6, kPort,                    // out kPort, al
                                                      0xeb, 0xfc};                    // jmp to the out
constexpr std::array<std::uint8_t, 3> kMainCode = {0xfb,                              // sti
                                                   0xeb, 0xfe};                       // jmp to itself
constexpr std::array<std::uint8_t, 20> kHandlerCode = {0x66, 0xff, 0x06, 0x00, 0x20,  // inc dword [kCounter]
                                                       0x66, 0xb9, 0x0b, 0x08, 0x00,
                                                       0x00,              // mov ecx, 0x80b    (end of interrupt)
                                                       0x66, 0x31, 0xc0,  // xor eax, eax
                                                       0x66, 0x31, 0xd2,  // xor edx, edx
                                                       0x0f, 0x30,        // wrmsr
                                                       0xcf};             // iret

void set_word(kvm_lapic_state& lapic, std::size_t at, std::uint32_t value) {
  std::memcpy(lapic.regs + at, &value, sizeof value);
}

std::uint32_t word(const std::vector<std::uint8_t>& lapic, std::size_t at) {
  std::uint32_t value = 0;
  std::memcpy(&value, lapic.data() + at, sizeof value);
  return value;
}

bool bit(const std::vector<std::uint8_t>& lapic, std::size_t at) {
  return (word(lapic, at + kVector / 32 * 0x10) >> kVector % 32 & 1) != 0;
}

class NoEvents : public VcpuEvents {
 public:
  void on_crash(VcpuThread&, const std::string& why) noexcept override { crash = why; }
  void on_system_event(std::uint32_t) noexcept override {}
  void on_trace(VcpuThread&) noexcept override {}
  std::string crash;
};

/// A port whose device answers when it is let go.
class SlowPort : public BusDevice {
 public:
  void bus_read(std::uint64_t, std::span<std::byte>) noexcept override {}
  void bus_write(std::uint64_t, std::span<const std::byte>) noexcept override {
    while (held.load()) {
      busy.store(true);
      std::this_thread::sleep_for(microseconds(100));
    }
    busy.store(false);
  }
  std::atomic<bool> held = false, busy = false;
};

KvmVm vm_with_chips(const KvmSystem& system, const Mapping& memory) {
  KvmVm vm(system);
  vm.set_identity_map_address(0xfffbc000);
  vm.set_tss_address(0xfffbd000);
  vm.set_memory(0, 0, memory.size(), memory.data());
  vm.create_irqchip();
  return vm;
}

/// What a checkpoint has of the guest at one instant.
struct Copy {
  StateRecord record;
  std::vector<std::byte> memory;
  bool waiting = false;  ///< a tick, for the guest to take it
  bool taken = false;    ///< a tick, and not counted yet
  double ticks = 0;      ///< that the guest has counted or will, before the timer goes on
  double due_ns = 0;     ///< when the next one comes, by the host's clock
  double doubt_ns = 0;   ///< how long it took to read the state: `due_ns` is known to half of that
};

double now_ns() { return duration<double, std::nano>(Clock::now().time_since_epoch()).count(); }

/// A guest that counts the ticks of its local APIC, and a thread that runs it.
class Counter {
 public:
  explicit Counter(std::span<const std::uint8_t> code = kMainCode) {
    vcpu_.set_cpuid(system_.supported_cpuid());
    ports_.attach(kPort, 1, port_, "slow port");
    std::memcpy(memory_.data() + kMain, code.data(), code.size());
    std::memcpy(memory_.data() + kHandler, kHandlerCode.data(), kHandlerCode.size());
    const std::uint16_t entry = kHandler;
    std::memcpy(memory_.data() + std::size_t{kVector} * 4, &entry, sizeof entry);
    VcpuThread::install_kick_signal();
  }

  ~Counter() {
    thread_.request_end();
    gate_.let_go();
  }

  void boot() {
    kvm_sregs sregs = vcpu_.sregs();
    sregs.cs.base = 0, sregs.cs.selector = 0;
    sregs.apic_base |= 0xc00;  // x2APIC, whose registers are MSRs, which real mode reaches
    vcpu_.set_sregs(sregs);
    kvm_regs regs = vcpu_.regs();
    regs.rip = kMain, regs.rsp = 0x8000;
    vcpu_.set_regs(regs);
    kvm_lapic_state lapic = vcpu_.lapic();
    set_word(lapic, 0xf0, 0x1ff);  // enabled
    set_word(lapic, 0x320, 1U << 17 | kVector);
    set_word(lapic, 0x3e0, 0xb);  // divide by 1: nanoseconds
    set_word(lapic, 0x380, kPeriodNs);
    vcpu_.set_lapic(lapic);
  }

  /// What the copy has of this guest, now that it is restored.
  Copy restore(Copy copy) {
    std::copy(copy.memory.begin(), copy.memory.end(), reinterpret_cast<std::byte*>(memory_.data()));
    const double before = now_ns();
    state_.restore_state(copy.record);
    copy.doubt_ns = now_ns() - before;
    copy.due_ns = before + copy.doubt_ns / 2 + word(from_record<VcpuStateV1>(copy.record).lapic, 0x390);
    return copy;
  }

  void start() { thread_.start(); }
  void resume() { gate_.open(); }
  void pause() {
    gate_.close();
    thread_.kick();
    gate_.wait_until_parked();
    INFO(events_.crash);
    REQUIRE(events_.crash.empty());
  }

  /// Pauses while the device answers, which takes longer than a period.
  void pause_in_access() {
    port_.held = true;
    for (int i = 0; i < 100'000 && !port_.busy; ++i) std::this_thread::sleep_for(microseconds(100));
    REQUIRE(port_.busy);
    std::this_thread::sleep_for(std::chrono::nanoseconds(kPeriodNs * 5 / 4));
    gate_.close();
    port_.held = false;
    pause();
  }

  /// The machine is paused.
  Copy copy() {
    Copy copy;
    const double before = now_ns();
    copy.record = state_.save_state();
    copy.doubt_ns = now_ns() - before;
    const auto* bytes = reinterpret_cast<const std::byte*>(memory_.data());
    copy.memory.assign(bytes, bytes + memory_.size());
    const auto saved = from_record<VcpuStateV1>(copy.record);
    std::uint32_t counted = 0;
    std::memcpy(&counted, memory_.data() + kCounter, sizeof counted);
    copy.taken = (saved.events.interrupt_injected != 0 && saved.events.interrupt_vector == kVector) ||
                 saved.general.rip == kHandler;
    copy.waiting = bit(saved.lapic, 0x200);
    copy.ticks = counted + (copy.waiting ? 1 : 0) + (copy.taken ? 1 : 0);
    copy.due_ns = before + copy.doubt_ns / 2 + word(saved.lapic, 0x390);
    if (word(saved.lapic, 0x390) == 1) copy.doubt_ns = kPeriodNs;  // overdue, who knows for how long
    return copy;
  }

 private:
  KvmSystem system_;
  Mapping memory_ = Mapping::anonymous(64 << 10);
  KvmVm vm_ = vm_with_chips(system_, memory_);
  KvmVcpu vcpu_{system_, vm_, 0};
  TscGroup tscs_;
  VcpuState state_{vcpu_, tscs_, system_.msr_indices(), system_.supported_cpuid()};
  SlowPort port_;
  Bus ports_, mmio_;
  PauseGate gate_{1};
  NoEvents events_;
  VcpuThread thread_{vcpu_, state_, ports_, mmio_, gate_, events_, false};
};

void sleep_up_to(std::mt19937& random, std::uint32_t most_us) {
  std::this_thread::sleep_for(microseconds(random() % most_us));
}

/// Compares two copies of one guest; leaves out those that cannot be judged. A guest that stood still for more than a
/// period takes two ticks for one, as a real one would: that can be too few, and nothing makes too many.
struct Verdict {
  int compared = 0, too_many = 0, too_few = 0;

  void compare(const Copy& earlier, const Copy& later) {
    if (earlier.doubt_ns + later.doubt_ns > kPeriodNs / 2.0) return;
    const double passed = std::round((later.due_ns - earlier.due_ns) / kPeriodNs);
    const double counted = later.ticks - earlier.ticks;
    ++compared;
    too_many += counted > passed ? 1 : 0;
    too_few += counted < passed ? 1 : 0;
  }
};

}  // namespace

TEST_CASE("each tick of a periodic local APIC is in the copy once, also one that comes while the copy is made") {
  Counter counter;
  counter.boot();
  counter.start();
  std::mt19937 random(1);
  Verdict verdict;
  Copy last;
  for (int round = 0; round < 300; ++round) {
    sleep_up_to(random, 12'000);
    counter.pause();
    sleep_up_to(random, 12'000);  // a pause that takes its time: many have a tick in it
    const Copy copy = counter.copy();
    counter.resume();
    if (round > 0) verdict.compare(last, copy);
    last = copy;
  }
  CHECK(verdict.compared > 100);
  CHECK(verdict.too_many == 0);
  CHECK(verdict.too_few <= verdict.compared / 2);
  MESSAGE(verdict.compared, " copies compared, ", verdict.too_few, " with a tick too few");
}

// Such a tick came before the machine was paused, and while its CPU was outside of the guest.
TEST_CASE("a tick that comes while a device answers is in the copy of a machine that is paused meanwhile") {
  Counter counter(kTalkingCode);
  counter.boot();
  counter.start();
  for (int round = 0; round < 20; ++round) {
    counter.pause_in_access();
    const Copy copy = counter.copy();
    CHECK((copy.waiting || copy.taken));
    counter.resume();
  }
}

TEST_CASE("a machine that was paused for periods has one tick waiting in its copy") {
  Counter counter;
  counter.boot();
  counter.start();
  for (int round = 0; round < 20; ++round) {
    std::this_thread::sleep_for(microseconds(1500));
    counter.pause();
    std::this_thread::sleep_for(std::chrono::nanoseconds(3 * kPeriodNs));
    CHECK(counter.copy().waiting);
    counter.resume();
  }
}

TEST_CASE("a restored guest counts on from its copy: no tick is lost or doubled") {
  std::mt19937 random(2);
  Verdict verdict;
  Copy copy;
  {
    Counter first;
    first.boot();
    first.start();
    sleep_up_to(random, 60'000);
    first.pause();
    sleep_up_to(random, 12'000);
    copy = first.copy();
  }
  for (int generation = 0; generation < 40; ++generation) {
    Counter next;
    const Copy restored = next.restore(copy);
    next.start();
    sleep_up_to(random, 60'000);
    next.pause();
    sleep_up_to(random, 12'000);
    copy = next.copy();
    verdict.compare(restored, copy);
  }
  CHECK(verdict.compared > 10);
  CHECK(verdict.too_many == 0);
  CHECK(verdict.too_few <= verdict.compared / 2);
  MESSAGE(verdict.compared, " generations, ", verdict.too_few, " with a tick too few");
}

}  // namespace tintype::test
