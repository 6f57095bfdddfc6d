// SPDX-License-Identifier: Apache-2.0
#include "vmm/machine/guest.h"

#include "checkpoint/restore/eager.h"
#include "vmm/base/error.h"
#include "vmm/base/log.h"
#include "vmm/boot/generation_id.h"
#include "vmm/kvm/capabilities.h"
#include "vmm/machine/describe.h"
#include "vmm/machine/gsi_routing.h"
#include "vmm/machine/legacy_interrupts.h"

namespace tintype {

namespace {

constexpr unsigned kMaximumCpus = 64;
const MachineConfig& checked(const MachineConfig& config) {
  if (config.cpus == 0 || config.cpus > kMaximumCpus)
    throw Error("a machine cannot have {} CPUs: give 1 to {}", config.cpus, kMaximumCpus);
  return config;
}

void give_memory(KvmVm& vm, const GuestMemory& memory, bool there) {
  std::uint32_t slot = 0;
  for (const MemoryRegion& region : memory.regions())
    vm.set_memory(slot++, region.start.value(), there ? region.size : 0, region.host);
}

/// Memory first: to change it, KVM waits until nobody reads what it was (SRCU), which is soon where nothing else was
/// changed before, and a tick of the kernel's clock or two after the interrupt controllers were made.
VmShell::Parts with_memory(VmShell shell, const GuestMemory& memory) {
  VmShell::Parts parts = shell.take();
  give_memory(parts.vm, memory, true);
  parts.vm.create_irqchip();
  parts.vm.set_gsi_routing(pc_gsi_routing());
  parts.vm.create_pit();
  return parts;
}

}  // namespace

Guest::Guest(const MachineConfig& config, FileStart serial_start, const GuestRequests& requests, VcpuEvents& events,
             VmShell shell)
    : config_(checked(config)),
      memory_(config.memory),
      kvm_(with_memory(std::move(shell), memory_)),
      platform_(kvm_.vm, backplane_, config.serial, serial_start, requests),
      virtio_(kvm_.vm, backplane_, memory_, config),
      irqchip_state_(kvm_.vm),
      pit_state_(kvm_.vm),
      clock_state_(kvm_.vm, tscs_),
      processors_(kvm_.system, kvm_.vm, tscs_, config.cpus, backplane_, events, config.trace.shows_exits()) {
  start_trace(config_.trace);
  // Local APICs come with the vCPUs and before the IOAPIC, which delivers into them; the clock after the vCPUs' time
  // stamp counters.
  states_ = processors_.states();
  states_.insert(states_.end(), {&irqchip_state_, &pit_state_, &clock_state_});
  for (Device* device : backplane_.devices()) states_.push_back(device);
}

Guest::~Guest() {
  processors_.request_end();
  give_up_load();
  processors_.join();
  virtio_.stop();
  platform_.stop();
}

std::map<std::string, std::uint64_t> Guest::exits_by_device() const {
  std::map<std::string, std::uint64_t> counts;
  const auto add = [&counts](const std::string& name, std::uint64_t count) {
    if (count != 0) counts[name] += count;
  };
  backplane_.ports().for_each_count(add);
  backplane_.mmio().for_each_count(add);
  return counts;
}

namespace {

/// It would stand still for minutes, and say nothing.
void warn_of_linux(ImageKind kind) {
  const bool is_linux = kind == ImageKind::kBzImage || kind == ImageKind::kLinuxElf;
  if (is_linux && !has_hardware_virtualization())
    log_line(
        "a stock Linux does not boot on this computer, whose KVM has neither VMX nor SVM: boot it in the rig "
        "(tools/rig COMMAND), or on one that has");
}

}  // namespace

void Guest::load_kernel() {
  const BootPlan plan =
      tintype::load_kernel(memory_, {config_.kernel, config_.initrd, config_.append, config_.cpus, virtio_.slots()});
  warn_of_linux(plan.kind);
  loaded_ = plan.parts;
  processors_.prepare_boot(plan.entry);
  set_legacy_interrupts(kvm_.vm, plan.entry.interrupts);
}

void Guest::check(const CheckpointReader& checkpoint) const { check_restorable(checkpoint, memory_, states_); }

void Guest::restore(const CheckpointReader& checkpoint, const ProgressSink& progress) {
  load_memory(checkpoint, memory_, progress);
  restore_states(checkpoint, progress);
}

void Guest::restore_shared(const CheckpointReader& checkpoint, std::shared_ptr<const MemoryImage> memory,
                           const ProgressSink& progress) {
  shared_ = std::make_unique<SharedMemory>(std::move(memory), memory_);
  restore_states(checkpoint, progress);
}

// Whoever reads or writes memory from here on waits for it: KVM too, to which some states are given.
void Guest::restore_lazily(const CheckpointReader& checkpoint, std::shared_ptr<const BlockSource> memory,
                           LazyLoad::Events events, LazyLoad::WorkingSet first, const ProgressSink& progress) {
  first.insert(first.begin(), kGenerationArea.start / kPageSize);  // complete_restore() will wait for it
  load_ = std::make_unique<LazyLoad>(std::move(memory), memory_, std::move(events), LazyLoad::make_missing_userfault,
                                     LazyLoad::crew_for_this_host(), first);
  progress({"memory", 0, load_->bytes_total()});
  try {
    restore_states(checkpoint, progress);
  } catch (...) {
    load_->machine_runs();  // where memory cannot be read, that is why
    throw;
  }
}

void Guest::complete_restore() {
  try {
    if (config_.suspended_as.empty()) renew_generation();  // one that was suspended is still the only one
  } catch (...) {
    if (load_) load_->machine_runs();
    throw;
  }
  if (load_) load_->machine_runs();
}

void Guest::restore_states(const CheckpointReader& checkpoint, const ProgressSink& progress) {
  progress({"state", 0, 1});
  tintype::restore_states(checkpoint, states_);
  processors_.announce_pause();
}

// The controllers are as the checkpoint has them by now, and take the edge where the guest listens.
void Guest::renew_generation() {
  if (!tintype::renew_generation(memory_)) return;
  for (const bool asserted : {true, false}) kvm_.vm.set_irq_line(kGenerationIrq, asserted);
}

void Guest::forget_page_tables() {
  give_memory(kvm_.vm, memory_, false);
  give_memory(kvm_.vm, memory_, true);
}

void Guest::start() {
  platform_.start();
  virtio_.start();
  cpu_ = describe_cpu(processors_.vcpu(0));
  processors_.start();
}

// Devices are told that memory is no more, and stopped, before the CPUs that wait for it go on and find zeros there: so
// nothing that the guest did not write reaches a disk.
void Guest::give_up_load() noexcept {
  if (!load_ || load_->finished()) return;
  load_->give_up();
  virtio_.stop();
  load_->let_go();
}

void Guest::close() {
  give_up_load();
  processors_.join();
  platform_.stop();
  virtio_.stop();
  virtio_.close();
}

MachineDescription Guest::describe() const { return describe_machine(config_, memory_, virtio_.disks(), cpu_); }

}  // namespace tintype
