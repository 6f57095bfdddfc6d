// SPDX-License-Identifier: Apache-2.0
#include "vmm/machine/processors.h"

#include <algorithm>

#include "vmm/kvm/exit_name.h"
#include "vmm/machine/cpu_entry.h"
#include "vmm/machine/cpuid.h"

namespace tintype {

namespace {

/// What CPUID can show a guest on this host. Some KVMs show more than they say they support, because the guest's CPUID
/// instruction is not trapped: they tell by changing what they were given.
std::vector<kvm_cpuid_entry2> cpuid_on_offer(KvmVcpu& vcpu, std::vector<kvm_cpuid_entry2> supported) {
  vcpu.set_cpuid(supported);
  const auto shown = vcpu.cpuid();
  supported.insert(supported.end(), shown.begin(), shown.end());
  return supported;
}

}  // namespace

Processors::Processors(const KvmSystem& system, KvmVm& vm, TscGroup& tscs, unsigned count, const Backplane& backplane,
                       VcpuEvents& events, bool traced)
    : supported_(system.supported_cpuid()),
      tsc_deadline_timer_(system.extension(KVM_CAP_TSC_DEADLINE_TIMER) > 0),
      debug_flags_(static_cast<std::uint32_t>(std::max(system.extension(KVM_CAP_SET_GUEST_DEBUG2), 0))),
      gate_(count) {
  VcpuThread::install_kick_signal();
  const std::vector<std::uint32_t> msrs = system.msr_indices();
  for (unsigned id = 0; id < count; ++id) vcpus_.push_back(std::make_unique<KvmVcpu>(system, vm, id));
  const auto offered = cpuid_on_offer(*vcpus_.front(), supported_);
  for (const auto& vcpu : vcpus_) {
    states_.push_back(std::make_unique<VcpuState>(*vcpu, tscs, msrs, offered));
    threads_.push_back(std::make_unique<VcpuThread>(*vcpu, *states_.back(), backplane.ports(), backplane.mmio(), gate_,
                                                    events, traced));
  }
}

void Processors::prepare_boot(const EntryState& entry) {
  const auto count = static_cast<unsigned>(vcpus_.size());
  const std::uint32_t tsc_khz = vcpus_.front()->tsc_khz();
  for (unsigned id = 0; id < count; ++id) {
    vcpus_[id]->set_cpuid(guest_cpuid(supported_, id, count, tsc_khz, tsc_deadline_timer_));
  }
  enter_kernel(*vcpus_.front(), entry);
}

std::vector<Stateful*> Processors::states() {
  std::vector<Stateful*> states;
  for (const auto& state : states_) states.push_back(state.get());
  return states;
}

void Processors::start() {
  for (const auto& thread : threads_) thread->start();
}

// First all are kicked: one that hurries with its guest, unkicked, would keep the CPU from whoever kicks.
void Processors::ask_to_park() noexcept {
  gate_.close();
  for (const auto& thread : threads_) thread->kick();
  for (const auto& thread : threads_) thread->hurry_to_park();
}

void Processors::pause() {
  ask_to_park();
  gate_.wait_until_parked();
}

void Processors::resume() {
  ++moves_;
  gate_.open();
}

void Processors::stall(const std::function<bool(std::uint32_t thread)>& stands) noexcept {
  gate_.stall(true);
  for (const auto& thread : threads_) {
    if (!stands(thread->thread_id())) thread->kick();
  }
}

void Processors::announce_pause() {
  for (const auto& vcpu : vcpus_) vcpu->announce_pause();
}

Processors::Remembered Processors::remember() const {
  Remembered remembered;
  for (const auto& state : states_) remembered.push_back(state->remember());
  return remembered;
}

void Processors::go_back_to(const Remembered& remembered) {
  ++moves_;
  for (std::size_t id = 0; id < states_.size(); ++id) states_[id]->go_back_to(*remembered[id]);
}

Processors::Remembered Processors::remembered_in(
    const std::function<const StateRecord&(const std::string& name)>& saved) const {
  Remembered remembered;
  for (const auto& state : states_) remembered.push_back(state->remembered_in(saved(state->state_name())));
  return remembered;
}

void Processors::request_end() noexcept {
  for (const auto& thread : threads_) thread->request_end();
  gate_.let_go();
}

void Processors::join() {
  for (const auto& thread : threads_) thread->join();
}

std::optional<std::uint64_t> Processors::interrupts() const noexcept {
  std::optional<std::uint64_t> sum;
  for (const auto& vcpu : vcpus_)
    if (const auto count = vcpu->statistics().interrupts()) sum = sum.value_or(0) + *count;
  return sum;
}

std::optional<std::uint64_t> Processors::page_faults() const noexcept {
  std::optional<std::uint64_t> sum;
  for (const auto& vcpu : vcpus_)
    if (const auto count = vcpu->statistics().page_faults()) sum = sum.value_or(0) + *count;
  return sum;
}

std::map<std::string, std::uint64_t> Processors::exits_by_reason() const {
  std::map<std::string, std::uint64_t> counts;
  for (const auto& thread : threads_)
    for (std::uint32_t reason = 0; reason < VcpuThread::kExitReasons; ++reason)
      if (const auto count = thread->exits(reason); count != 0) counts[std::string(exit_name(reason))] += count;
  return counts;
}

}  // namespace tintype
