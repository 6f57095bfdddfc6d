// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/tracking/fault_service.h"

#include <poll.h>

#include <cerrno>

#include "vmm/base/thread.h"

namespace tintype {

FaultService::FaultService(const GuestMemory& memory, WriteFaultSink& sink, const MakeUserfault& make_userfault)
    : memory_(memory), sink_(sink), userfault_(make_userfault()) {
  for (const MemoryRegion& region : memory_.regions()) userfault_->watch({region.host, region.size});
  thread_ = std::thread([this] { serve(); });
}

FaultService::~FaultService() {
  for (const MemoryRegion& region : memory_.regions()) userfault_->stop_watching({region.host, region.size});
  stop_.signal();
  thread_.join();
}

void FaultService::serve() noexcept {
  name_this_thread("write-faults");
  block_signals_in_this_thread();
  const ScopedNice urgent(-15);  // vCPUs wait for this thread
  pollfd waits[] = {{userfault_->fd(), POLLIN, 0}, {stop_.fd(), POLLIN, 0}};
  while (::poll(waits, 2, -1) >= 0 || errno == EINTR) {
    if ((waits[1].revents & POLLIN) != 0) return;
    while (const auto address = userfault_->next_fault()) sink_.on_write_fault(*address);
  }
}

bool FaultService::another_waits() const noexcept {
  pollfd wait{userfault_->fd(), POLLIN, 0};
  return ::poll(&wait, 1, 0) > 0;
}

}  // namespace tintype
