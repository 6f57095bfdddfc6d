// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <thread>
#include <vector>

#include "checkpoint/tracking/chunks.h"
#include "checkpoint/tracking/userfault.h"
#include "vmm/base/event_fd.h"
#include "vmm/base/trace.h"
#include "vmm/memory/guest_memory.h"

namespace tintype {

/// Told of faults, on the service's thread. It may wait for nothing that could itself fault, and sees to it that
/// whoever waits goes on in the end.
class FaultSink {
 public:
  virtual ~FaultSink() = default;
  /// False: not now. It comes again when the service's bell has rung, and others come meanwhile.
  [[nodiscard]] virtual bool on_fault(const Fault& fault) noexcept = 0;
};

using MakeUserfault = std::function<std::unique_ptr<Userfault>()>;

/// A userfaultfd and a thread that waits for its faults: missing pages while memory is brought in after a lazy restore,
/// then writes, from the first checkpoint of a machine to its end. A machine has one at a time: what is watched for
/// missing pages is all there before anything is protected, because to end the one kind of watching lifts the other.
class FaultService {
 public:
  /// Watches these ranges, in the way of the userfaultfd that is made. Throws tintype::Error where the host cannot.
  FaultService(std::vector<std::span<std::byte>> ranges, FaultSink& sink, const MakeUserfault& make_userfault);
  /// Lets everything go first, so that whoever still waits does not wait for a thread that has ended.
  ~FaultService();
  FaultService(const FaultService&) = delete;
  FaultService& operator=(const FaultService&) = delete;

  void protect(std::span<std::byte> range) { userfault_->protect(range); }
  [[nodiscard]] bool release(std::span<std::byte> range) noexcept { return userfault_->release(range); }
  [[nodiscard]] bool fill(std::span<std::byte> range, std::span<std::byte> from) noexcept {
    return userfault_->fill(range, from);
  }
  bool moves_pages() const noexcept { return userfault_->moves_pages(); }
  /// Whoever rings it has all that was put off come again, in its order.
  const std::shared_ptr<EventFd>& bell() const noexcept { return bell_; }
  /// Another fault waits for the sink to return.
  bool another_waits() const noexcept;

 private:
  void serve() noexcept;
  void offer(Fault fault) noexcept;
  void offer_again() noexcept;

  const std::vector<std::span<std::byte>> ranges_;
  FaultSink& sink_;
  std::unique_ptr<Userfault> userfault_;
  std::vector<Fault> put_off_;
  const std::shared_ptr<EventFd> bell_ = std::make_shared<EventFd>();  ///< shared with who may outlive the machine
  EventFd stop_;
  std::thread thread_;
};

/// The beginning of a trace's line for a fault within this chunk: where it is.
TraceLine fault_line(std::string_view what, const Fault& fault, const Chunk& chunk, const GuestMemory& memory) noexcept;

/// All of it, for a service.
std::vector<std::span<std::byte>> ranges_of(const GuestMemory& memory);

}  // namespace tintype
