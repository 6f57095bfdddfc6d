// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <thread>

#include "checkpoint/tracking/userfault.h"
#include "vmm/base/event_fd.h"
#include "vmm/memory/guest_memory.h"

namespace tintype {

/// Told of write faults, on the service's thread. It may wait for nothing that could itself fault, and lets the address
/// go in the end.
class WriteFaultSink {
 public:
  virtual ~WriteFaultSink() = default;
  virtual void on_write_fault(std::uintptr_t address) noexcept = 0;
};

using MakeUserfault = std::function<std::unique_ptr<Userfault>()>;

/// One userfaultfd and one thread that waits for its faults, from the first checkpoint of a machine to its end.
class FaultService {
 public:
  /// Watches all of guest memory; nothing is protected yet. Throws tintype::Error where the host cannot.
  FaultService(const GuestMemory& memory, WriteFaultSink& sink, const MakeUserfault& make_userfault);
  /// Lets everything go first, so that whoever still writes does not wait for a thread that has ended.
  ~FaultService();
  FaultService(const FaultService&) = delete;
  FaultService& operator=(const FaultService&) = delete;

  void protect(std::span<std::byte> range) { userfault_->protect(range); }
  [[nodiscard]] bool release(std::span<std::byte> range) noexcept { return userfault_->release(range); }
  /// Another fault waits for the sink to return.
  bool another_waits() const noexcept;

 private:
  void serve() noexcept;

  const GuestMemory& memory_;
  WriteFaultSink& sink_;
  std::unique_ptr<Userfault> userfault_;
  EventFd stop_;
  std::thread thread_;
};

}  // namespace tintype
