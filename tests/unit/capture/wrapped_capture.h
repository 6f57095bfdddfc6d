// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <utility>

#include "checkpoint/capture/strategy.h"

namespace tintype {

/// A real capture, all of it: for those that do one thing otherwise.
class WrappedCapture : public MemoryCapture {
 public:
  explicit WrappedCapture(std::unique_ptr<MemoryCapture> real) : real_(std::move(real)) {}
  void prepare(const CaptureRequest& request, const Cancellation& cancellation) override {
    real_->prepare(request, cancellation);
  }
  void precopy(PageSink& sink) override { real_->precopy(sink); }
  void protect() override { real_->protect(); }
  bool copies_while_paused() const noexcept override { return real_->copies_while_paused(); }
  void copy_out(PageSink& sink) override { real_->copy_out(sink); }
  bool guest_waits() const noexcept override { return real_->guest_waits(); }
  void keep() noexcept override { real_->keep(); }
  void give_back() noexcept override { real_->give_back(); }
  MemoryReport report() const override { return real_->report(); }

 protected:
  const std::unique_ptr<MemoryCapture> real_;
};

}  // namespace tintype
