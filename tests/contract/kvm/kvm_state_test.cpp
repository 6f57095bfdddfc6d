// SPDX-License-Identifier: Apache-2.0
// What KVM keeps: save, change, differs, restore, equal; on a fresh virtual machine too; damaged input refused.
#include <unistd.h>

#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <csignal>
#include <functional>
#include <thread>

#include <doctest/doctest.h>

#include "checkpoint/state/brief_call.h"
#include "checkpoint/state/platform_state.h"
#include "checkpoint/state/vcpu_state.h"
#include "checkpoint/state/vcpu_state_v1.h"
#include "tests/support/skip.h"
#include "vmm/base/mapping.h"
#include "vmm/kvm/system.h"
#include "vmm/kvm/vcpu.h"
#include "vmm/kvm/vm.h"

namespace tintype {

namespace {

KvmVm vm_with_chips(const KvmSystem& system, const Mapping& memory) {
  KvmVm vm(system);
  vm.set_identity_map_address(0xfffbc000);
  vm.set_tss_address(0xfffbd000);
  vm.set_memory(0, 0, memory.size(), memory.data());
  vm.create_irqchip();
  vm.create_pit();
  return vm;
}

/// A virtual machine with one vCPU that has never run.
struct Fixture {
  KvmSystem system;
  Mapping memory = Mapping::anonymous(64 << 10);
  KvmVm vm = vm_with_chips(system, memory);
  KvmVcpu vcpu{system, vm, 0};
  std::vector<kvm_cpuid_entry2> offered() {
    auto leaves = system.supported_cpuid();
    vcpu.set_cpuid(leaves);
    const auto shown = vcpu.cpuid();
    leaves.insert(leaves.end(), shown.begin(), shown.end());
    return leaves;
  }
  TscGroup tscs;
  VcpuState vcpu_state{vcpu, tscs, system.msr_indices(), offered()};
  IrqchipState irqchip_state{vm};
  PitState pit_state{vm};
  ClockState clock_state{vm, tscs};
};

/// With two.
struct TwoCpus : Fixture {
  KvmVcpu second{system, vm, 1};
  VcpuState second_state{second, tscs, system.msr_indices(), offered()};
};

/// Without what runs on by itself: the TSC's MSRs, Hyper-V's clocks, the APIC timer's count, the host's clock.
VcpuStateV1 without_time(const StateRecord& record) {
  auto state = from_record<VcpuStateV1>(record);
  constexpr std::array<std::uint32_t, 5> kRunning = {0x10, 0x3b, 0x6e0, 0x40000010, 0x40000020};
  std::erase_if(state.msrs, [&](const MsrV1& msr) { return std::ranges::find(kRunning, msr.index) != kRunning.end(); });
  std::fill_n(state.lapic.begin() + 0x390, 4, std::uint8_t{0});
  return state;
}

void move_vcpu(KvmVcpu& vcpu) {
  kvm_regs regs = vcpu.regs();
  regs.rax = 0x1122334455667788, regs.r15 = 7, regs.rip = 0x1234;
  vcpu.set_regs(regs);
  kvm_sregs sregs = vcpu.sregs();
  sregs.cr2 = 0xabcdef000, sregs.gdt.base = 0x9000, sregs.fs.base = 0x77000;
  vcpu.set_sregs(sregs);
  auto xsave = vcpu.xsave();
  xsave[160] = 0x5a;  // XMM0
  xsave[512] |= 2;    // XSTATE_BV: SSE
  vcpu.set_xsave(xsave);
  kvm_debugregs debug = vcpu.debug_registers();
  debug.db[1] = 0x4000;
  vcpu.set_debug_registers(debug);
  kvm_lapic_state lapic = vcpu.lapic();
  lapic.regs[0x80] = 0x20;  // task priority
  vcpu.set_lapic(lapic);
}

/// Each field of a record taken away, renamed, or given a value of another kind: all refused, and nothing changes.
void check_refusals(const Stateful& thing, const StateRecord& good, const std::function<bool()>& unchanged) {
  const auto refuse = [&](const StateRecord& bad) {
    CHECK_THROWS_AS(thing.check_state(bad), StateError);
    CHECK(unchanged());
  };
  for (std::size_t i = 0; i < good.fields.size(); ++i) {
    StateRecord bad = good;
    bad.fields.erase(bad.fields.begin() + static_cast<std::ptrdiff_t>(i));
    refuse(bad);
    bad = good;
    bad.fields[i].name += "x";
    refuse(bad);
    bad = good;
    bad.fields[i].value = std::holds_alternative<std::uint64_t>(bad.fields[i].value) ? StateValue(StateBytes{1})
                                                                                     : StateValue(std::uint64_t{1});
    refuse(bad);
  }
  StateRecord other = good;
  ++other.version;
  refuse(other);
}

}  // namespace

TEST_CASE("a vCPU comes back as it was, on itself and on a fresh one") {
  Fixture here;
  const StateRecord first = here.vcpu_state.save_state();
  const Stateful::Unsaved read = here.vcpu_state.read_state();
  move_vcpu(here.vcpu);
  CHECK(without_time(read()) == without_time(first));  // of the instant, though it becomes a record later
  const StateRecord moved = here.vcpu_state.save_state();
  CHECK_FALSE(without_time(first) == without_time(moved));
  here.vcpu_state.check_state(first);
  here.vcpu_state.restore_state(first);
  CHECK(without_time(here.vcpu_state.save_state()) == without_time(first));

  Fixture there;
  there.vcpu_state.check_state(moved);
  there.vcpu_state.restore_state(moved);
  CHECK(without_time(there.vcpu_state.save_state()) == without_time(moved));
  CHECK(there.vcpu.regs().rax == 0x1122334455667788);
}

// What CPUID or MCG_CAP and MTRRCAP tell the guest of, whether KVM lists it or not.
TEST_CASE("registers that a guest may have set up come back: KVM's own, memory types, machine checks") {
  Fixture here, there;
  constexpr std::uint64_t kPage = 0x5000;
  const std::vector<kvm_msr_entry> set_up = {
      {.index = 0x4b564d00, .reserved = 0, .data = kPage},              // wall clock
      {.index = 0x4b564d01, .reserved = 0, .data = kPage | 1},          // kvmclock
      {.index = 0x4b564d03, .reserved = 0, .data = (kPage + 64) | 1},   // steal time
      {.index = 0x4b564d04, .reserved = 0, .data = (kPage + 128) | 1},  // EOI
      {.index = 0x4b564d05, .reserved = 0, .data = 0},                  // halt polling by the host: off
      {.index = 0x200, .reserved = 0, .data = 0xc0000000},              // a range of memory, uncached
      {.index = 0x201, .reserved = 0, .data = 0xc0000800},
      {.index = 0x250, .reserved = 0, .data = 0x0606060606060606},
      {.index = 0x26f, .reserved = 0, .data = 0x0505050505050505},
      {.index = 0x2ff, .reserved = 0, .data = 0xc06},
      {.index = 0x400, .reserved = 0, .data = ~0ULL},     // the first bank, enabled
      {.index = 0x402, .reserved = 0, .data = 0x123000},  // where its last error was
      {.index = 0x40b, .reserved = 0, .data = 7},
  };
  REQUIRE(here.vcpu.set_msrs(set_up).value_or(0) == 0);
  const StateRecord saved = here.vcpu_state.save_state();
  there.vcpu_state.check_state(saved);
  there.vcpu_state.restore_state(saved);
  for (const kvm_msr_entry& entry : set_up) {
    const std::uint32_t index = entry.index;
    CAPTURE(index);
    CHECK(there.vcpu.msr(index).value_or(0xbad) == std::uint64_t{entry.data});
  }
}

TEST_CASE("the TSC goes on from where it was") {
  Fixture here, there;
  const StateRecord saved = here.vcpu_state.save_state();
  const std::uint64_t before = here.vcpu.msr(0x10).value_or(0);
  there.vcpu_state.restore_state(saved);
  const std::uint64_t after = there.vcpu.msr(0x10).value_or(0);
  CHECK(after < before + 2 * 1000 * std::uint64_t{here.vcpu.tsc_khz()});  // within two seconds
}

TEST_CASE("TSCs that went together go together, however long it takes to give the CPUs their states") {
  TwoCpus here, there;
  if (here.vcpu.tsc_offset().value_or(0) == 0) SKIP_TEST("the guests of this KVM read the host's TSC");
  const StateRecord first = here.vcpu_state.save_state();
  std::this_thread::sleep_for(std::chrono::milliseconds(1200));  // what KVM itself does not take for one any more
  const StateRecord second = here.second_state.save_state();
  there.vcpu_state.restore_state(first);
  std::this_thread::sleep_for(std::chrono::milliseconds(1200));
  there.second_state.restore_state(second);
  CHECK(there.vcpu.tsc_offset() == there.second.tsc_offset());
}

TEST_CASE("TSC and kvmclock go on together, however long it takes between the one and the other") {
  Fixture here, there;
  if (here.vcpu.tsc_offset().value_or(0) == 0) SKIP_TEST("the guests of this KVM read the host's TSC");
  const auto clock_less_tsc = [](Fixture& machine) {
    double nanoseconds = 0;
    brief_call([&] {
      const auto clock = static_cast<double>(machine.vm.clock().clock);
      nanoseconds = clock - static_cast<double>(machine.vcpu.msr(0x10).value_or(0)) * 1e6 / machine.vcpu.tsc_khz();
    });
    return nanoseconds;
  };
  const StateRecord vcpu = here.vcpu_state.save_state();
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  const StateRecord clock = here.clock_state.save_state();
  there.vcpu_state.restore_state(vcpu);
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  there.clock_state.restore_state(clock);
  CHECK(std::abs(clock_less_tsc(there) - clock_less_tsc(here)) < 5e6);  // of 300 ms twice
}

TEST_CASE("TSCs of which one was ahead keep their distance") {
  TwoCpus here, there;
  if (here.vcpu.tsc_offset().value_or(0) == 0) SKIP_TEST("the guests of this KVM read the host's TSC");
  const std::uint64_t ahead = std::uint64_t{here.vcpu.tsc_khz()} * 5000;
  REQUIRE(here.second.set_tsc_offset(*here.vcpu.tsc_offset() + ahead));
  const StateRecord first = here.vcpu_state.save_state(), second = here.second_state.save_state();
  there.vcpu_state.restore_state(first);
  there.second_state.restore_state(second);
  CHECK(*there.second.tsc_offset() - *there.vcpu.tsc_offset() == ahead);
}

TEST_CASE(
    "a TSC that ran slower, or faster, goes on: as it did where KVM can scale it, and otherwise as it runs here") {
  Fixture here;
  auto state = from_record<VcpuStateV1>(here.vcpu_state.save_state());
  const std::uint32_t speed = here.vcpu.tsc_khz();
  REQUIRE(speed != 0);
  for (const std::uint32_t khz : {speed / 2, speed - speed / 50, speed + speed / 50}) {
    CAPTURE(khz);
    Fixture there;
    state.tsc_khz = khz;
    const StateRecord saved = to_record(state);
    there.vcpu_state.check_state(saved);
    CHECK_NOTHROW(there.vcpu_state.restore_state(saved));
    const std::uint32_t now = there.vcpu.tsc_khz();
    CHECK((now == khz || now == speed));
  }
}

TEST_CASE("a damaged vCPU state is refused before anything changes") {
  Fixture here;
  const StateRecord good = here.vcpu_state.save_state();
  const auto as_it_was = without_time(good);
  check_refusals(here.vcpu_state, good, [&] { return without_time(here.vcpu_state.save_state()) == as_it_was; });
  auto state = from_record<VcpuStateV1>(good);
  state.lapic.resize(1000);
  CHECK_THROWS_AS(here.vcpu_state.check_state(to_record(state)), StateError);
}

TEST_CASE("a guest that saw more of a CPU than this host has is refused, by name") {
  Fixture here;
  auto state = from_record<VcpuStateV1>(here.vcpu_state.save_state());
  for (CpuidLeafV1& leaf : state.cpuid) {
    if (leaf.function == 7 && leaf.index == 0) leaf.edx |= 1U << 24;  // AMX, which no test machine passes on
  }
  std::string message;
  try {
    here.vcpu_state.check_state(to_record(state));
  } catch (const StateError& error) {
    message = error.what();
  }
  CHECK(message.find("cpuid 0x7.0 edx bit 24") != std::string::npos);
}

TEST_CASE("a guest that was a hypervisor itself is refused: its own guests' state is in no checkpoint") {
  Fixture here;
  const auto good = from_record<VcpuStateV1>(here.vcpu_state.save_state());
  CHECK_NOTHROW(here.vcpu_state.check_state(to_record(good)));
  auto vmx = good, svm = good;
  vmx.system.cr4 |= 1 << 13;
  svm.system.efer |= 1 << 12;
  CHECK_THROWS_AS(here.vcpu_state.check_state(to_record(vmx)), StateError);
  CHECK_THROWS_AS(here.vcpu_state.check_state(to_record(svm)), StateError);
}

TEST_CASE("no thread calls into a vCPU that another one has claimed") {
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {                 // the check aborts
    std::signal(SIGABRT, SIG_DFL);  // not the test framework's
    Fixture here;
    const KvmVcpu::Claim claim(here.vcpu);
    static_cast<void>(here.vcpu.regs());  // one's own
    std::thread([&] { static_cast<void>(here.vcpu.regs()); }).join();
    ::_exit(0);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(WIFSIGNALED(status));
  CHECK(WTERMSIG(status) == SIGABRT);
}

TEST_CASE("interrupt controllers come back as they were, on a fresh machine too") {
  Fixture here, there;
  const StateRecord first = here.irqchip_state.save_state();
  kvm_irqchip ioapic = here.vm.irqchip(KVM_IRQCHIP_IOAPIC);
  ioapic.chip.ioapic.redirtbl[5].bits = 0x10000 | 0x35;  // masked, vector 0x35
  here.vm.set_irqchip(ioapic);
  kvm_irqchip pic = here.vm.irqchip(KVM_IRQCHIP_PIC_SLAVE);
  pic.chip.pic.imr = 0x5a;
  here.vm.set_irqchip(pic);
  const StateRecord changed = here.irqchip_state.save_state();
  CHECK_FALSE(changed == first);
  there.irqchip_state.check_state(changed);
  there.irqchip_state.restore_state(changed);
  CHECK(there.irqchip_state.save_state() == changed);
  here.irqchip_state.restore_state(first);
  CHECK(here.irqchip_state.save_state() == first);
  check_refusals(here.irqchip_state, first, [&] { return here.irqchip_state.save_state() == first; });
}

TEST_CASE("the timer's channels come back, but for the moment at which they were loaded") {
  Fixture here, there;
  kvm_pit_state2 pit = here.vm.pit();
  pit.channels[2].count = 1193;
  pit.channels[2].mode = 3;
  here.vm.set_pit(pit);
  const StateRecord saved = here.pit_state.save_state();
  there.pit_state.check_state(saved);
  there.pit_state.restore_state(saved);
  CHECK(there.vm.pit().channels[2].count == 1193);
  CHECK(there.vm.pit().channels[2].mode == 3);
  check_refusals(here.pit_state, saved, [] { return true; });
}

TEST_CASE("the guest's clock goes on from the capture, not from now") {
  Fixture here, there;
  kvm_clock_data clock{};
  clock.clock = 5'000'000'000'000;
  here.vm.set_clock(clock);
  const StateRecord saved = here.clock_state.save_state();
  there.clock_state.check_state(saved);
  there.clock_state.restore_state(saved);
  const std::uint64_t now = there.vm.clock().clock;
  CHECK(now >= 5'000'000'000'000);
  CHECK(now < 5'010'000'000'000);
  check_refusals(here.clock_state, saved, [] { return true; });
}

}  // namespace tintype
