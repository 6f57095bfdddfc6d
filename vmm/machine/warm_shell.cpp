// SPDX-License-Identifier: Apache-2.0
#include "vmm/machine/warm_shell.h"

#include <utility>

#include "checkpoint/capture/cancellation.h"
#include "vmm/base/error.h"
#include "vmm/base/log.h"
#include "vmm/base/thread.h"
#include "vmm/machine/restored_machine.h"

namespace tintype {

namespace {

/// Nothing has come for so long: the first computer may be gone, or there is time anyway.
constexpr std::chrono::milliseconds kQuiet{100};

}  // namespace

WarmShell::WarmShell(RestoreOptions how) : how_(std::move(how)), thread_([this] { work(); }) {}

WarmShell::~WarmShell() { end_work(); }

void WarmShell::end_work() noexcept {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
    changed_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

void WarmShell::came(std::uint64_t id) {
  const std::lock_guard lock(mutex_);
  wanted_ = id;
  changed_.notify_all();
}

WarmShell::Status WarmShell::status() const {
  const std::lock_guard lock(mutex_);
  return status_;
}

// ---- as they come ----

void WarmShell::work() noexcept {
  name_this_thread("warm-shell");
  block_signals_in_this_thread();
  for (std::uint64_t done = 0;;) {
    {
      std::unique_lock lock(mutex_);
      const auto woken = [&] { return ending_ || wanted_ != done; };
      if (!changed_.wait_for(lock, kQuiet, woken)) {
        lock.unlock();
        open_ahead(done);
        lock.lock();
        changed_.wait(lock, woken);
      }
      if (ending_) return;
      done = wanted_;
    }
    checkpoint_.reset();
    std::string problem;
    try {
      prepare(done);
    } catch (const std::exception& error) {
      problem = error.what();
    }
    const std::lock_guard lock(mutex_);
    if (!problem.empty() && !ending_ && problem != status_.problem)
      log_note("no machine is kept ready for checkpoint {}: {}", done, problem);
    status_ = {problem.empty() ? done : 0, false, problem};
  }
}

void WarmShell::prepare(std::uint64_t id) {
  const auto store = open_store(how_.repository);
  const auto manifest = store->manifest_of(id);
  if (!machine_ || manifest->machine != like_) make_machine(*manifest);
  if (memory_->follow(*store, id, FollowingMemory::Effort::kLittle)) return;
  {
    const std::lock_guard lock(mutex_);
    status_ = {0, true, {}};
  }
  memory_->follow(*store, id, FollowingMemory::Effort::kAll, [this](const Progress&) { throw_if_ending(); });
}

/// To open a long chain takes as long as all the rest of what take() does.
void WarmShell::open_ahead(std::uint64_t id) noexcept {
  if (id == 0 || status().ready != id) return;
  try {
    RestoreOptions how = how_;
    how.id = id;
    checkpoint_ = open_to_restore(how);
  } catch (const std::exception&) {  // take() will say why
  }
}

void WarmShell::throw_if_ending() const {
  const std::lock_guard lock(mutex_);
  if (ending_) throw Cancelled("nothing is made ready any more");
}

// The old one goes first: both would have the same serial port.
void WarmShell::make_machine(const Manifest& manifest) {
  forget_machine();
  machine_ = make_machine_like(manifest, how_);
  memory_.emplace(machine_->guest().memory());
  like_ = manifest.machine;
}

void WarmShell::forget_machine() noexcept {
  memory_.reset();
  machine_.reset();
}

// ---- its hour ----

std::unique_ptr<Machine> WarmShell::take(std::uint64_t id) {
  end_work();
  how_.id = id;
  try {
    if (auto machine = take_warm(id)) return machine;
    log_note("checkpoint {} was not made ready in time: its memory comes while the machine runs", id);
  } catch (const std::exception& error) {
    log_note("the machine that was kept ready cannot be used ({}): it is restored anew", error.what());
  }
  forget_machine();
  return restore_machine(how_, {});
}

/// Null where too much of it is missing.
std::unique_ptr<Machine> WarmShell::take_warm(std::uint64_t id) {
  auto checkpoint = std::exchange(checkpoint_, nullptr);  // whoever still reads of it holds it
  if (!checkpoint || checkpoint->manifest().id != id) checkpoint = open_to_restore(how_);
  if (!machine_ || checkpoint->manifest().machine != like_) return nullptr;
  if (!memory_->follow(*open_store(how_.repository), id, FollowingMemory::Effort::kLittle)) return nullptr;
  if (memory_->identity() != checkpoint->manifest().identity) throw Error("it is another checkpoint");
  const auto disks = std::make_shared<DiskImages>(checkpoint, restored_name(checkpoint->manifest(), how_),
                                                  how_.disk_directory, how_.wrap_disk);
  const ProgressSink nobody = [](const Progress&) {};
  become(
      *machine_, *checkpoint, disks, how_, [&] { machine_->guest().restore_states(*checkpoint, nobody); }, nobody);
  memory_.reset();
  return std::move(machine_);
}

}  // namespace tintype
