// SPDX-License-Identifier: Apache-2.0
// A machine that is looked into while it stands still.
#include "vmm/base/error.h"
#include "vmm/machine/lifecycle.h"

namespace tintype {

namespace {

/// A backplane that is frozen for a moment.
class Frozen {
 public:
  explicit Frozen(Backplane& backplane) : backplane_(backplane) { backplane_.freeze(); }
  ~Frozen() { backplane_.thaw(); }
  Frozen(const Frozen&) = delete;
  Frozen& operator=(const Frozen&) = delete;

 private:
  Backplane& backplane_;
};

}  // namespace

// Memory is read without a lock: it may still have to come, and who lets the machine run on is not kept waiting.
void Lifecycle::look(const std::function<void(const Inspector& still)>& see) {
  std::uint64_t moves = 0;
  see(Inspector(standing_still(moves)));
  const std::lock_guard pause_lock(pause_mutex_);
  if (guest_.processors().moves() != moves || has_ended())
    throw Error("{} did not stand still while it was looked at: pause it and look again", config().name);
}

Inspector::Subject Lifecycle::standing_still(std::uint64_t& moves) {
  const std::lock_guard pause_lock(pause_mutex_);
  const std::string& name = config().name;
  {
    const std::lock_guard lock(state_mutex_);
    if (!started_ || end_) throw Error("the machine {} is not running", name);
    if (stalls_) throw Error("the memory of {} cannot be read: `tintype status {}` says why", name, name);
    if (!is_held()) throw Error("{} runs: `tintype pause {}` first, then look", name, name);
  }
  moves = guest_.processors().moves();
  Inspector::Subject subject;
  subject.name = "the machine " + name;
  for (std::size_t cpu = 0; cpu < guest_.processors().count(); ++cpu) subject.cpus.push_back(debugger_->registers(cpu));
  subject.memory = physical(guest_.memory());
  const Frozen frozen(guest_.backplane());
  subject.virtio = virtio_devices_in(guest_.virtio().states());
  return subject;
}

}  // namespace tintype
