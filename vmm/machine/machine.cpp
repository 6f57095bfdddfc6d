// SPDX-License-Identifier: Apache-2.0
#include "vmm/machine/machine.h"

#include "vmm/machine/machine_impl.h"

namespace tintype {

std::unique_ptr<Machine> Machine::boot(const MachineConfig& config) {
  auto impl = std::make_unique<Impl>(config, FileStart::kTruncate);
  impl->load_kernel();
  return std::unique_ptr<Machine>(new Machine(std::move(impl)));
}

std::unique_ptr<Machine> Machine::restore(const RestoreOptions& options, const ProgressSink& progress) {
  return std::unique_ptr<Machine>(new Machine(Impl::restore(options, progress)));
}

Machine::Machine(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Machine::~Machine() = default;

const MachineConfig& Machine::config() const noexcept { return impl_->config(); }
void Machine::start() { impl_->start(); }
MachineEnd Machine::wait() { return impl_->wait(); }
void Machine::pause() { impl_->pause_by_user(); }
void Machine::resume() { impl_->resume_by_user(); }
void Machine::stop(bool force, std::chrono::milliseconds patience) { impl_->stop(force, patience); }
MachineStatus Machine::status() const { return impl_->status(); }

CheckpointReport Machine::checkpoint(const CheckpointOptions& options, const ProgressSink& progress) {
  return impl_->checkpoint(options, progress);
}

}  // namespace tintype
