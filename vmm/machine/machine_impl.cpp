// SPDX-License-Identifier: Apache-2.0
#include "vmm/machine/machine_impl.h"

#include <exception>

#include "checkpoint/capture/live_checkpoint.h"
#include "checkpoint/restore/eager.h"
#include "vmm/base/error.h"
#include "vmm/base/log.h"
#include "vmm/kvm/capabilities.h"
#include "vmm/machine/describe.h"
#include "vmm/machine/exit_report.h"
#include "vmm/machine/gsi_routing.h"
#include "vmm/machine/restored_disks.h"
#include "vmm/machine/trace.h"

namespace tintype {

namespace {

constexpr unsigned kMaximumCpus = 64;
// Intel's KVM needs a page and three pages for itself, in the hole below 4 GiB (KVM API, KVM_SET_IDENTITY_MAP_ADDR,
// KVM_SET_TSS_ADDR).
constexpr std::uint64_t kIdentityMapAddress = 0xfffbc000;
constexpr std::uint32_t kTssAddress = 0xfffbd000;

const MachineConfig& checked(const MachineConfig& config) {
  if (config.cpus == 0 || config.cpus > kMaximumCpus)
    throw Error("a machine cannot have {} CPUs: give 1 to {}", config.cpus, kMaximumCpus);
  return config;
}

/// A VM with guest memory, interrupt controllers and timer, which must be there before the vCPUs and the devices'
/// lines.
KvmVm make_vm(const KvmSystem& system, const GuestMemory& memory) {
  if (const auto missing = missing_capabilities(system); !missing.empty()) {
    throw Error("this host's KVM lacks {} ({}): use a newer kernel", missing.front().name, missing.front().used_for);
  }
  KvmVm vm(system);
  vm.set_identity_map_address(kIdentityMapAddress);
  vm.set_tss_address(kTssAddress);
  std::uint32_t slot = 0;
  for (const MemoryRegion& region : memory.regions())
    vm.set_memory(slot++, region.start.value(), region.size, region.host);
  vm.create_irqchip();
  vm.set_gsi_routing(pc_gsi_routing());
  vm.create_pit();
  return vm;
}

}  // namespace

Machine::Impl::Impl(const MachineConfig& config, FileStart serial_start)
    : config_(checked(config)),
      memory_(config.memory),
      vm_(make_vm(system_, memory_)),
      platform_(vm_, backplane_, config.serial, serial_start, guest_requests()),
      virtio_(vm_, backplane_, memory_, config),
      irqchip_state_(vm_),
      pit_state_(vm_),
      clock_state_(vm_),
      processors_(system_, vm_, config.cpus, backplane_, *this,
                  config.trace.exits || config.trace.mmio || config.trace.pio) {
  // Local APICs come with the vCPUs and before the IOAPIC, which delivers into them; the clock after the vCPUs' time
  // stamp counters.
  states_ = processors_.states();
  states_.insert(states_.end(), {&irqchip_state_, &pit_state_, &clock_state_});
  for (Device* device : backplane_.devices()) states_.push_back(device);
}

Machine::Impl::~Impl() {
  processors_.request_end();
  processors_.join();
  virtio_.stop();
  platform_.stop();
}

GuestRequests Machine::Impl::guest_requests() {
  return {[this](int code) {
            end({code, fmt::format("debug-exit {}", code), {}});
          },
          [this] {
            end({0, "power-off", {}});
          },
          [this] {
            end({0, "reset", {}});
          },
          [this] {
            end({0, "left by Ctrl-A x", {}});
          }};
}

void Machine::Impl::load_kernel() {
  const BootPlan plan =
      tintype::load_kernel(memory_, {config_.kernel, config_.initrd, config_.append, config_.cpus, virtio_.slots()});
  loaded_ = plan.parts;
  processors_.prepare_boot(plan.entry);
}

// Everything is checked before anything is made, but for the disks' images, which are removed again where something
// fails later.
std::unique_ptr<Machine::Impl> Machine::Impl::restore(const RestoreOptions& options, const ProgressSink& progress) {
  const CheckpointReader checkpoint(options.repository, options.id == 0 ? std::nullopt : std::optional(options.id));
  MachineConfig config = config_from(checkpoint.manifest().machine);
  config.name = options.name.empty() ? checkpoint.manifest().vm : options.name;
  config.disk_directory = options.disk_directory;
  config.serial = options.serial;
  config.trace = options.trace;
  RestoredDisks disks(checkpoint, config.name, options.disk_directory, config, progress);
  auto impl = std::make_unique<Impl>(config, FileStart::kAppend);
  check_restorable(checkpoint, impl->memory_, impl->states_);
  load_memory(checkpoint, impl->memory_, progress);
  restore_states(checkpoint, impl->states_);
  impl->processors_.announce_pause();
  impl->restored_from_ = checkpoint.manifest().id;
  disks.keep();
  return impl;
}

void Machine::Impl::start() {
  const std::lock_guard pause_lock(pause_mutex_);
  {
    const std::lock_guard lock(state_mutex_);
    if (std::exchange(started_, true)) throw Error("the machine runs already");
  }
  platform_.start();
  virtio_.start();
  processors_.start();
}

MachineEnd Machine::Impl::wait() {
  MachineEnd how;
  {
    std::unique_lock lock(state_mutex_);
    state_changed_.wait(lock, [this] { return end_.has_value(); });
    how = *end_;
  }
  close();
  return how;
}

// A checkpoint that is under way is finished first: what it copies out is still there, though the vCPUs have gone.
void Machine::Impl::close() {
  const std::lock_guard checkpoint_lock(checkpoint_mutex_);
  processors_.join();
  platform_.stop();
  virtio_.stop();
  virtio_.close();
}

void Machine::Impl::end(MachineEnd how) noexcept {
  {
    const std::lock_guard lock(state_mutex_);
    if (end_) return;
    end_ = std::move(how);
    state_changed_.notify_all();
  }
  processors_.request_end();
}

bool Machine::Impl::has_ended() const {
  const std::lock_guard lock(state_mutex_);
  return end_.has_value();
}

void Machine::Impl::pause_by_user() {
  const std::lock_guard pause_lock(pause_mutex_);
  {
    const std::lock_guard lock(state_mutex_);
    if (!started_ || end_) throw Error("the machine {} is not running", config_.name);
    if (std::exchange(paused_by_user_, true)) return;
  }
  processors_.pause();
}

void Machine::Impl::resume_by_user() {
  const std::lock_guard pause_lock(pause_mutex_);
  {
    const std::lock_guard lock(state_mutex_);
    if (!std::exchange(paused_by_user_, false)) return;
  }
  processors_.announce_pause();
  processors_.resume();
}

void Machine::Impl::stop(bool force, std::chrono::milliseconds patience) {
  std::unique_lock lock(state_mutex_);
  const bool can_listen = !force && started_ && !paused_by_user_ && !end_;
  if (can_listen && platform_.press_power_button()) {
    state_changed_.wait_for(lock, patience, [this] { return end_.has_value(); });
  }
  lock.unlock();
  end({0, "stopped", {}});
}

MachineStatus Machine::Impl::status() const {
  const std::lock_guard lock(state_mutex_);
  MachineStatus status;
  status.state = end_              ? RunState::kStopped
                 : !started_       ? RunState::kCreated
                 : paused_by_user_ ? RunState::kPaused
                                   : RunState::kRunning;
  status.checkpoint_running = checkpoint_running_;
  status.uptime_ms = static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - created_).count());
  status.exits = processors_.exits();
  status.restored_from = restored_from_;
  return status;
}

CheckpointReport Machine::Impl::checkpoint(const CheckpointOptions& options, const ProgressSink& progress) {
  const std::unique_lock only_one(checkpoint_mutex_, std::try_to_lock);
  if (!only_one) throw Error("a checkpoint of {} is being taken already: wait until it is finished", config_.name);
  {
    const std::lock_guard lock(state_mutex_);
    if (!started_ || end_) throw Error("the machine {} is not running", config_.name);
    checkpoint_running_ = true;
  }
  struct Reset {
    Impl& machine;
    ~Reset() {
      const std::lock_guard lock(machine.state_mutex_);
      machine.checkpoint_running_ = false;
    }
  } reset{*this};
  return take_live_checkpoint(*this, options, progress);
}

void Machine::Impl::on_crash(VcpuThread& thread, const std::string& why) noexcept {
  try {
    end({1, "crash", crash_report(why, thread.vcpu(), memory_, loaded_)});
  } catch (const std::exception&) {  // out of memory: without the report
    end({1, "crash", {}});
  }
}

void Machine::Impl::on_system_event(std::uint32_t type) noexcept {
  end(type == KVM_SYSTEM_EVENT_SHUTDOWN ? MachineEnd{0, "power-off", {}}
      : type == KVM_SYSTEM_EVENT_RESET  ? MachineEnd{0, "reset", {}}
                                        : MachineEnd{1, "crash", {}});
}

void Machine::Impl::on_trace(VcpuThread& thread) noexcept {
  try {
    trace_exit(config_.trace, thread.vcpu(), memory_, backplane_);
  } catch (const std::exception& error) {
    log_note("trace: {}", error.what());
  }
}

MachineDescription Machine::Impl::describe() const {
  return describe_machine(config_, memory_, virtio_.disks(), processors_.vcpu(0));
}

// A user's pause or continue waits until the checkpoint's pause is over.
void Machine::Impl::pause() {
  checkpoint_pause_ = std::unique_lock(pause_mutex_);
  if (!paused_by_user_) processors_.pause();
  if (has_ended()) throw Error("the machine {} ended before it could be captured", config_.name);
}

void Machine::Impl::freeze_devices() { backplane_.freeze(); }

void Machine::Impl::thaw_devices() noexcept { backplane_.thaw(); }

void Machine::Impl::resume() noexcept {
  if (!paused_by_user_) processors_.resume();
  checkpoint_pause_.unlock();
}

}  // namespace tintype
