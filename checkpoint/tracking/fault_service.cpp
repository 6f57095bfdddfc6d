// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/tracking/fault_service.h"

#include <poll.h>

#include <cerrno>
#include <utility>

#include "vmm/base/thread.h"

namespace tintype {

FaultService::FaultService(std::vector<std::span<std::byte>> ranges, FaultSink& sink,
                           const MakeUserfault& make_userfault)
    : ranges_(std::move(ranges)), sink_(sink), userfault_(make_userfault()) {
  for (const std::span<std::byte> range : ranges_) userfault_->watch(range);
  thread_ = std::thread([this] { serve(); });
}

FaultService::~FaultService() {
  for (const std::span<std::byte> range : ranges_) userfault_->stop_watching(range);
  stop_.signal();
  thread_.join();
}

void FaultService::serve() noexcept {
  name_this_thread("faults");
  block_signals_in_this_thread();
  const ScopedUrgency urgent;  // vCPUs wait for this thread
  pollfd waits[] = {{userfault_->fd(), POLLIN, 0}, {stop_.fd(), POLLIN, 0}};
  while (::poll(waits, 2, -1) >= 0 || errno == EINTR) {
    if ((waits[1].revents & POLLIN) != 0) return;
    while (const auto fault = userfault_->next_fault()) sink_.on_fault(*fault);
  }
}

bool FaultService::another_waits() const noexcept {
  pollfd wait{userfault_->fd(), POLLIN, 0};
  return ::poll(&wait, 1, 0) > 0;
}

std::vector<std::span<std::byte>> ranges_of(const GuestMemory& memory) {
  std::vector<std::span<std::byte>> ranges;
  for (const MemoryRegion& region : memory.regions()) ranges.emplace_back(region.host, region.size);
  return ranges;
}

}  // namespace tintype
