// SPDX-License-Identifier: Apache-2.0
#include "vmm/machine/debugger.h"

#include <algorithm>
#include <cstring>

#include "vmm/base/error.h"
#include "vmm/base/log.h"
#include "vmm/kvm/capabilities.h"
#include "vmm/machine/cpu_text.h"
#include "vmm/machine/native_traps.h"
#include "vmm/machine/page_walk.h"
#include "vmm/machine/paging_bits.h"

namespace tintype {

namespace {

constexpr std::uint32_t kBreakpointException = 3;
constexpr std::uint64_t kX87AndSse = 3;                  // of XSTATE_BV
constexpr std::size_t kXstateBv = 512;                   // its place in an XSAVE area (Intel SDM volume 1, 13.4.2)
constexpr std::size_t kMxcsrMask = 28, kAfterSse = 416;  // what FXSAVE alone knows, and what is nobody's

bool same(const kvm_guest_debug& one, const kvm_guest_debug& other) {
  return std::memcmp(&one, &other, sizeof one) == 0;
}

template <typename T>
bool same_bytes(const T& one, const T& other) {
  return std::memcmp(&one, &other, sizeof(T)) == 0;
}

bool is_user_page(const ReadPhysical& memory, const kvm_sregs& sregs, std::uint64_t address) {
  std::vector<PageWalkStep> steps;
  return translate(memory, sregs, address, &steps) &&
         std::ranges::all_of(steps, [](const PageWalkStep& step) { return (step.entry & paging::kEntryUser) != 0; });
}

void refuse_while_it_runs(const KvmVcpu& vcpu) {
  if (vcpu.is_claimed()) throw Error("CPU {} does not stand still", vcpu.id());
}

}  // namespace

Debugger::Debugger(GuestMemory& memory, Processors& processors, Means means)
    : memory_(memory),
      processors_(processors),
      means_(std::move(means)),
      has_hardware_(has_hardware_virtualization()),
      block_interrupts_(processors.debug_flags() & KVM_GUESTDBG_BLOCKIRQ),
      software_(memory),
      steps_(processors.count()),
      steps_from_(processors.count()),
      passes_(processors.count()),
      applied_(processors.count()) {}

void Debugger::withdraw() noexcept {
  if (!active_) return;
  const std::lock_guard lock(mutex_);
  software_.withdraw();
}

void Debugger::ended(int exit_code) noexcept {
  const std::lock_guard lock(mutex_);
  exit_code_ = exit_code;
  running_ = true;
  ring();
}

/// With the mutex.
void Debugger::ring() noexcept {
  if (bell_ != nullptr) bell_->signal();
}

// ---- on a vCPU's thread ----

void Debugger::before_run(VcpuThread& thread) {
  if (!active_) return;
  const std::lock_guard lock(mutex_);
  software_.insert();
  apply(thread.vcpu());
}

void Debugger::apply(KvmVcpu& vcpu) {
  const kvm_guest_debug debug = wanted(vcpu);
  auto& applied = applied_[vcpu.id()];
  if (applied && same(*applied, debug)) return;
  vcpu.set_guest_debug(debug);
  applied = debug;
}

kvm_guest_debug Debugger::wanted(KvmVcpu& vcpu) const {
  kvm_guest_debug debug{};
  if (bell_ == nullptr) return debug;  // no debugger
  const bool steps = steps_[vcpu.id()], passes = passes_[vcpu.id()];
  debug.control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_SW_BP;
  if (steps || passes) debug.control |= KVM_GUESTDBG_SINGLESTEP | block_interrupts_;
  std::vector<std::uint64_t> doors;
  if (!has_hardware_ && !passes) doors = trap_handlers(physical(memory_), vcpu.sregs());
  if (hardware_.empty() && doors.empty()) return debug;
  debug.control |= KVM_GUESTDBG_USE_HW_BP;
  const auto values = hardware_.values(doors);
  std::copy(values.begin(), values.end(), debug.arch.debugreg);
  return debug;
}

bool Debugger::take_exit(VcpuThread& thread) {
  if (!active_) return false;
  const std::lock_guard lock(mutex_);
  KvmVcpu& vcpu = thread.vcpu();
  DebugStop stop;
  stop.cpu = vcpu.id();
  switch (judge(vcpu, stop)) {
    case Taken::kOther:
      return false;
    case Taken::kNothing:
      return true;
    case Taken::kStop:
      break;
  }
  if (steps_[vcpu.id()] && !has_hardware_) leave_no_trap_flag(vcpu);
  steps_[vcpu.id()] = false;
  stops_.push_back(stop);
  stopping_ = true;
  processors_.ask_to_park();
  ring();
  return true;
}

Debugger::Taken Debugger::judge(KvmVcpu& vcpu, DebugStop& stop) {
  const kvm_run& run = vcpu.shared();
  if (run.exit_reason == KVM_EXIT_INTERNAL_ERROR) return judge_emulation(vcpu, stop);
  if (run.exit_reason != KVM_EXIT_DEBUG) return Taken::kOther;
  if (run.debug.arch.exception != kBreakpointException) return judge_debug_exception(vcpu, stop);
  if (is_software_place(vcpu.sregs(), run.debug.arch.pc)) {
    stop.why = DebugStop::Why::kSoftware;
    return Taken::kStop;
  }
  return give_to_guest(vcpu, KVM_GUESTDBG_INJECT_BP);
}

Debugger::Taken Debugger::judge_debug_exception(KvmVcpu& vcpu, DebugStop& stop) {
  if (passes_[vcpu.id()]) {
    passes_[vcpu.id()] = false;
    apply(vcpu);
    return Taken::kNothing;
  }
  if (const auto place = hardware_.hit(vcpu.shared().debug.arch.dr6)) {
    stop.why = place->kind == BreakKind::kHardware ? DebugStop::Why::kHardware : DebugStop::Why::kWatch;
    stop.watch = place->kind;
    stop.address = place->address;
    return Taken::kStop;
  }
  if (!has_hardware_) {
    if (const auto trapped = before_trap(physical(memory_), vcpu.regs(), vcpu.sregs()))
      return judge_trap(vcpu, *trapped, stop);
  }
  if (!steps_[vcpu.id()]) return give_to_guest(vcpu, KVM_GUESTDBG_INJECT_DB);
  stop.why = DebugStop::Why::kStep;
  return Taken::kStop;
}

/// At the guest's door: what is not the debugger's goes in.
Debugger::Taken Debugger::judge_trap(KvmVcpu& vcpu, const TrappedCpu& trapped, DebugStop& stop) {
  const bool ours =
      trapped.is_breakpoint ? is_software_place(trapped.sregs, trapped.regs.rip) : bool(steps_[vcpu.id()]);
  if (!ours) {
    passes_[vcpu.id()] = true;
    apply(vcpu);
    return Taken::kNothing;
  }
  vcpu.set_sregs(trapped.sregs);
  vcpu.set_regs(trapped.regs);
  stop.why = trapped.is_breakpoint ? DebugStop::Why::kSoftware : DebugStop::Why::kStep;
  return Taken::kStop;
}

/// Such a KVM cannot emulate `int3`, and gives up where it stands, with the guest's #UD waiting.
Debugger::Taken Debugger::judge_emulation(KvmVcpu& vcpu, DebugStop& stop) {
  const kvm_sregs sregs = vcpu.sregs();
  if (vcpu.shared().internal.suberror != KVM_INTERNAL_ERROR_EMULATION || has_hardware_) return Taken::kOther;
  if (!is_software_place(sregs, linear_rip(vcpu.regs(), sregs))) return Taken::kOther;
  kvm_vcpu_events events = vcpu.events();
  events.exception.injected = events.exception.pending = 0;
  vcpu.set_events(events);
  stop.why = DebugStop::Why::kSoftware;
  return Taken::kStop;
}

Debugger::Taken Debugger::give_to_guest(KvmVcpu& vcpu, std::uint32_t how) {
  kvm_guest_debug debug = wanted(vcpu);
  debug.control |= how;
  vcpu.set_guest_debug(debug);
  return Taken::kNothing;
}

void Debugger::leave_no_trap_flag(KvmVcpu& vcpu) {
  const kvm_sregs sregs = vcpu.sregs();
  if (steps_from_[vcpu.id()] && sregs.ss.dpl == 0) take_back_trap_flag(memory_, sregs, *steps_from_[vcpu.id()]);
}

bool Debugger::is_software_place(const kvm_sregs& sregs, std::uint64_t linear) const {
  const auto at = translate(physical(memory_), sregs, linear);
  return at && software_.has(*at);
}

// ---- on the debugger's thread ----

void Debugger::attach(EventFd& bell) {
  {
    const std::lock_guard lock(mutex_);
    bell_ = &bell;
    active_ = true;
  }
  try {
    means_.hold([this] { holds_ = true; });
  } catch (...) {
    const std::lock_guard lock(mutex_);
    bell_ = nullptr;
    throw;
  }
  const std::lock_guard lock(mutex_);
  running_ = exit_code_.has_value();
  if (running_) ring();
  stops_.clear();
}

void Debugger::detach() noexcept {
  try {
    means_.hold([this] { forget_all(); });
  } catch (const std::exception& error) {  // it stands still because its memory cannot be read
    log_note("the debugger leaves while {}", error.what());
    forget_all();
  }
  for (std::size_t cpu = 0; cpu < cpus(); ++cpu) processors_.thread(cpu).set_stays(false);
  try {
    means_.release([this] { holds_ = stopping_ = false; });
  } catch (const std::exception& error) {
    log_note("the machine cannot go on without its debugger: {}", error.what());
  }
}

void Debugger::forget_all() noexcept {
  const std::lock_guard lock(mutex_);
  software_.withdraw();
  software_.clear();
  software_places_.clear();
  hardware_ = {};
  std::fill(steps_.begin(), steps_.end(), false);
  std::fill(passes_.begin(), passes_.end(), false);
  stops_.clear();
  asked_ = false;
  bell_ = nullptr;
}

VcpuRegisters Debugger::registers(std::size_t cpu) const {
  const KvmVcpu& vcpu = processors_.vcpu(cpu);
  refuse_while_it_runs(vcpu);
  VcpuRegisters registers{vcpu.regs(), vcpu.sregs(), {}};
  const auto area = vcpu.xsave();
  std::copy_n(area.begin(), registers.fxsave.size(), registers.fxsave.begin());
  return registers;
}

void Debugger::set_registers(std::size_t cpu, const VcpuRegisters& registers) {
  const VcpuRegisters before = this->registers(cpu);
  KvmVcpu& vcpu = processors_.thread(cpu).vcpu();
  if (!same_bytes(before.system, registers.system)) vcpu.set_sregs(registers.system);
  if (!same_bytes(before.general, registers.general)) vcpu.set_regs(registers.general);
  if (before.fxsave == registers.fxsave) return;
  auto area = vcpu.xsave();
  std::copy_n(registers.fxsave.begin(), kMxcsrMask, area.begin());
  std::copy(registers.fxsave.begin() + kMxcsrMask + 4, registers.fxsave.begin() + kAfterSse,
            area.begin() + kMxcsrMask + 4);
  area[kXstateBv] |= kX87AndSse;
  vcpu.set_xsave(area);
}

std::vector<std::uint8_t> Debugger::read(std::size_t cpu, std::uint64_t address, std::size_t bytes) const {
  const KvmVcpu& vcpu = processors_.vcpu(cpu);
  refuse_while_it_runs(vcpu);
  return read_linear(physical(memory_), vcpu.sregs(), address, bytes);
}

bool Debugger::write(std::size_t cpu, std::uint64_t address, std::span<const std::uint8_t> bytes) {
  const KvmVcpu& vcpu = processors_.vcpu(cpu);
  refuse_while_it_runs(vcpu);
  if (bytes.empty()) return true;
  return write_linear(memory_, vcpu.sregs(), address, std::as_bytes(bytes));
}

std::optional<Gpa> Debugger::place_of(std::size_t cpu, std::uint64_t address) const {
  const KvmVcpu& vcpu = processors_.vcpu(cpu);
  refuse_while_it_runs(vcpu);
  const auto at = translate(physical(memory_), vcpu.sregs(), address);
  return at && memory_.contains(*at, 1) ? at : std::nullopt;
}

bool Debugger::add(std::size_t cpu, BreakKind kind, std::uint64_t address, std::uint64_t length) {
  if (kind != BreakKind::kSoftware) return add_hardware(cpu, kind, address, length);
  const auto at = place_of(cpu, address);
  if (!at) return false;
  const std::lock_guard lock(mutex_);
  software_.add(*at);
  software_places_.push_back({address, *at});
  return true;
}

bool Debugger::add_hardware(std::size_t cpu, BreakKind kind, std::uint64_t address, std::uint64_t length) {
  if (!has_hardware_) refuse_what_never_stops(cpu, kind, address);
  const std::lock_guard lock(mutex_);
  if (!has_hardware_ && hardware_.left() <= 2) return false;  // two registers watch the guest's doors
  return hardware_.add({kind, address, kind == BreakKind::kHardware ? 1 : length});
}

/// Without hardware virtualization KVM does not see what is touched, nor what ring 3 executes. What a CPU in ring 3
/// could not execute is meant for ring 0.
void Debugger::refuse_what_never_stops(std::size_t cpu, BreakKind kind, std::uint64_t address) const {
  if (kind != BreakKind::kHardware)
    throw Error("this KVM does not see what is touched: `set can-use-hw-watchpoints 0` has gdb watch by steps");
  const KvmVcpu& vcpu = processors_.vcpu(cpu);
  refuse_while_it_runs(vcpu);
  if (vcpu.sregs().ss.dpl == 3 && is_user_page(physical(memory_), vcpu.sregs(), address))
    throw Error("on this KVM `hbreak` stops ring 0 only, and CPU {} is in ring 3: use `break`", cpu);
}

void Debugger::remove(BreakKind kind, std::uint64_t address, std::uint64_t length) {
  const std::lock_guard lock(mutex_);
  if (kind != BreakKind::kSoftware) return hardware_.remove({kind, address, kind == BreakKind::kHardware ? 1 : length});
  const auto found = std::find_if(software_places_.begin(), software_places_.end(),
                                  [address](const Software& place) { return place.address == address; });
  if (found == software_places_.end()) return;
  software_.remove(found->at);
  software_places_.erase(found);
}

/// With the mutex, and with the vCPU parked.
void Debugger::begin_step(std::size_t cpu) {
  applied_[cpu].reset();  // KVM notes where the step begins
  const KvmVcpu& vcpu = processors_.vcpu(cpu);
  steps_from_[cpu].reset();
  if (!vcpu.is_claimed() && vcpu.sregs().ss.dpl == 3) steps_from_[cpu] = vcpu.regs().rip;
}

void Debugger::run(std::span<const CpuAction> actions) {
  {
    const std::lock_guard lock(mutex_);
    running_ = true;
    asked_ = false;
    // Who stands at a breakpoint still meets it again; who has touched what is watched does not.
    std::erase_if(stops_, [](const DebugStop& stop) { return stop.why != DebugStop::Why::kWatch; });
    if (!stops_.empty() || exit_code_) return ring();
    for (std::size_t cpu = 0; cpu < cpus(); ++cpu) {
      steps_[cpu] = actions[cpu] == CpuAction::kStep;
      if (steps_[cpu]) begin_step(cpu);
      processors_.thread(cpu).set_stays(actions[cpu] == CpuAction::kStay);
    }
  }
  means_.release([this] { holds_ = stopping_ = false; });
}

void Debugger::interrupt() {
  const std::lock_guard lock(mutex_);
  asked_ = true;
  ring();
}

std::optional<DebugStop> Debugger::take_stop() {
  {
    const std::lock_guard lock(mutex_);
    if (!running_ || (stops_.empty() && !asked_ && !exit_code_)) return std::nullopt;
    if (exit_code_) {
      running_ = false;
      DebugStop end;
      end.why = DebugStop::Why::kEnded;
      end.exit_code = *exit_code_;
      return end;
    }
  }
  means_.hold([this] { holds_ = true; });
  stopping_ = false;
  const std::lock_guard lock(mutex_);
  running_ = asked_ = false;
  if (stops_.empty()) return DebugStop{};
  const DebugStop stop = stops_.front();
  stops_.pop_front();
  return stop;
}

}  // namespace tintype
