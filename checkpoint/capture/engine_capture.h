// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "checkpoint/capture/engine.h"
#include "checkpoint/capture/strategy.h"

namespace tintype {

/// What the strategies have in common: the engine does the work, and they say when.
class EngineCapture : public MemoryCapture {
 public:
  EngineCapture(CaptureEngine& engine, Need need) : engine_(engine), need_(need) {}

  void prepare(const CaptureRequest& request, const Cancellation& cancellation) override {
    engine_.prepare(request, need_, cancellation);
  }
  void precopy(PageSink&) override {}
  void protect() override { engine_.freeze(); }
  bool copies_while_paused() const noexcept override { return false; }
  void copy_out(PageSink& sink) override { engine_.drain(sink); }
  bool guest_waits() const noexcept override { return copies_while_paused() || engine_.guest_waits(); }
  void keep() noexcept override { engine_.keep(); }
  void give_back() noexcept override { engine_.give_back(); }
  MemoryReport report() const override { return engine_.report(); }

 protected:
  CaptureEngine& engine_;

 private:
  const Need need_;
};

}  // namespace tintype
