// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <signal.h>

#include <linux/kvm.h>

#include <atomic>
#include <cstdint>
#include <optional>
#include <span>
#include <thread>
#include <vector>

#include "vmm/base/mapping.h"
#include "vmm/base/unique_fd.h"
#include "vmm/kvm/vcpu_statistics.h"
#include "vmm/kvm/vm.h"

namespace tintype {

/// One virtual CPU of KVM's: a typed method for each vCPU ioctl. All throw std::system_error.
///
/// KVM serves one ioctl of a vCPU at a time, and KVM_RUN is one that lasts as long as the guest likes: while it halts
/// or spins, a call from any other thread waits, without end. So the thread that runs a vCPU claims it, and not where
/// it parks or ends; a call from another thread while it is claimed is a mistake of ours, and aborts.
class KvmVcpu {
 public:
  enum class RunResult : std::uint8_t { kExit, kInterrupted };

  KvmVcpu(const KvmSystem& system, KvmVm& vm, unsigned id);

  unsigned id() const noexcept { return id_; }

  /// While it lives, only the thread that made it may use the vCPU (but for set_immediate_exit()).
  class Claim {
   public:
    explicit Claim(KvmVcpu& vcpu) noexcept;
    ~Claim();
    Claim(const Claim&) = delete;
    Claim& operator=(const Claim&) = delete;

   private:
    KvmVcpu& vcpu_;
  };

  /// By another thread than this one.
  bool is_claimed() const noexcept;

  /// KVM_RUN, by the thread that has claimed it. kInterrupted: a signal came, or immediate_exit was set; anything that
  /// was pending in shared() has been completed.
  RunResult run();
  /// run(), where only signals outside of `blocked` count, whatever the thread blocks. Where one of them waits already,
  /// KVM does all that it does on the way into the guest, and returns without entering it.
  RunResult run(const sigset_t& blocked);
  /// The page shared with KVM: the reason of the last exit and its data. Touched by the thread that runs, but for
  /// immediate_exit.
  kvm_run& shared() noexcept { return *reinterpret_cast<kvm_run*>(shared_.data()); }
  /// Makes the current or next run() return at once. Callable from a signal handler or any thread.
  void set_immediate_exit(bool on) noexcept;
  bool immediate_exit() noexcept;

  kvm_regs regs() const;
  void set_regs(const kvm_regs& regs);
  kvm_sregs sregs() const;
  void set_sregs(const kvm_sregs& sregs);
  kvm_lapic_state lapic() const;
  void set_lapic(const kvm_lapic_state& lapic);
  kvm_mp_state mp_state() const;
  void set_mp_state(const kvm_mp_state& state);
  kvm_vcpu_events events() const;
  void set_events(const kvm_vcpu_events& events);
  kvm_debugregs debug_registers() const;
  void set_debug_registers(const kvm_debugregs& registers);
  kvm_xcrs xcrs() const;
  void set_xcrs(const kvm_xcrs& xcrs);
  std::vector<std::uint8_t> xsave() const;  ///< KVM_GET_XSAVE2 where there is one, else KVM_GET_XSAVE; the area's bytes
  void set_xsave(std::span<const std::uint8_t> area);
  std::size_t xsave_size() const noexcept { return xsave_size_; }

  std::vector<kvm_cpuid_entry2> cpuid() const;
  void set_cpuid(std::span<const kvm_cpuid_entry2> entries);
  std::uint32_t tsc_khz() const;
  /// False where this KVM cannot have the counter run at that speed, for want of TSC scaling: it runs on as it did.
  [[nodiscard]] bool set_tsc_khz(std::uint32_t khz);
  /// How far the guest's counter is ahead of the host's, modulo 2^64 (KVM API, devices/vcpu, KVM_VCPU_TSC_OFFSET);
  /// nothing where KVM does not tell (Linux before 5.16).
  std::optional<std::uint64_t> tsc_offset() const;
  /// False where KVM does not let it be set.
  [[nodiscard]] bool set_tsc_offset(std::uint64_t offset);

  void set_guest_debug(const kvm_guest_debug& debug);

  /// Values of the MSRs that KVM lets us read, in the order given; the others are left out.
  std::vector<kvm_msr_entry> msrs(std::span<const std::uint32_t> indices) const;
  /// Sets them in order; returns the index of the first that KVM refuses, or nothing.
  [[nodiscard]] std::optional<std::uint32_t> set_msrs(std::span<const kvm_msr_entry> entries);
  /// One MSR, or nothing where KVM refuses it.
  std::optional<std::uint64_t> msr(std::uint32_t index) const;

  /// Any thread, whoever runs it.
  const VcpuStatistics& statistics() const noexcept { return statistics_; }

  void announce_pause();  ///< KVM_KVMCLOCK_CTRL: tells the guest's watchdog; silently nothing where unused

 private:
  /// The descriptor, for a call that is made now.
  int fd() const noexcept;

  unsigned id_;
  UniqueFd fd_;
  std::atomic<std::thread::id> owner_{};  // none: the vCPU does not run, and whoever has it parked may use it
  VcpuStatistics statistics_;
  Mapping shared_;
  std::size_t xsave_size_;
  bool has_xsave2_;
};

}  // namespace tintype
