// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "checkpoint/store/checkpoint_target.h"

namespace tintype {

/// A destination that a test directs: every call goes to a real one, but before that a function of the test is called
/// with its name ("memory", "memory finish", "memory drop", "disk0", "state", "sync", "seal"), which may wait, or
/// throw. It is called on the thread that writes, which may outlive the test: what it uses it must own. What it owns
/// goes after the real destination has gone.
class ScriptedTarget final : public CheckpointTarget {
 public:
  using Step = std::function<void(const std::string& name)>;

  ScriptedTarget(std::unique_ptr<CheckpointTarget> real, Step step)
      : step_(std::move(step)), real_(std::move(real)), memory_{real_->memory_part(), step_, "memory"} {}

  std::uint64_t id() const noexcept override { return real_->id(); }
  const std::string& identity() const noexcept override { return real_->identity(); }
  std::string concern() const override { return real_->concern(); }
  BlockSink& memory_part() override { return memory_; }
  BlockSink& disk_part(std::string_view id) override {
    const std::string name(id);
    const std::lock_guard lock(mutex_);
    return disks_.try_emplace(name, real_->disk_part(id), step_, name).first->second;
  }
  void write_state(std::span<const NamedState> states) override {
    step_("state");
    real_->write_state(states);
  }
  void sync() override {
    step_("sync");
    real_->sync();
  }
  Manifest seal(Manifest manifest) override {
    step_("seal");
    return real_->seal(std::move(manifest));
  }

 private:
  class Sink final : public BlockSink {
   public:
    Sink(BlockSink& real, const Step& step, std::string name) : real_(real), step_(step), name_(std::move(name)) {}
    Appended append(std::uint64_t first_block, std::span<const std::byte> data) override {
      step_(name_);
      return real_.append(first_block, data);
    }
    bool incremental() const noexcept override { return real_.incremental(); }
    Appended append_zeros(std::uint64_t first_block, std::uint64_t blocks) override {
      step_(name_);
      return real_.append_zeros(first_block, blocks);
    }
    void drop(const Ticket& ticket) override {
      step_(name_ + " drop");
      real_.drop(ticket);
    }
    void finish() override {
      step_(name_ + " finish");
      real_.finish();
    }

   private:
    BlockSink& real_;
    const Step& step_;
    std::string name_;
  };

  Step step_;
  std::unique_ptr<CheckpointTarget> real_;
  Sink memory_;
  std::mutex mutex_;  // guards the rest
  std::map<std::string, Sink> disks_;
};

/// Where somebody waits until a test lets him go. Shared with whoever may outlive the test.
class Barrier {
 public:
  void wait() {
    std::unique_lock lock(mutex_);
    ++waiting_;
    changed_.notify_all();
    changed_.wait(lock, [this] { return open_; });
    --waiting_;
  }
  void open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  /// Returns when somebody has come.
  void wait_for_visitor() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return waiting_ != 0; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int waiting_ = 0;
  bool open_ = false;
};

}  // namespace tintype
