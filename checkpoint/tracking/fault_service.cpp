// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/tracking/fault_service.h"

#include <poll.h>

#include <cerrno>
#include <utility>

#include "vmm/base/thread.h"

namespace tintype {

namespace {
constexpr std::size_t kManyThreads = 256;  // each waits for one fault; further ones cost an allocation
}

FaultService::FaultService(std::vector<std::span<std::byte>> ranges, FaultSink& sink,
                           const MakeUserfault& make_userfault)
    : ranges_(std::move(ranges)), sink_(sink), userfault_(make_userfault()) {
  for (const std::span<std::byte> range : ranges_) userfault_->watch(range);
  put_off_.reserve(kManyThreads);
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
  pollfd waits[] = {{userfault_->fd(), POLLIN, 0}, {stop_.fd(), POLLIN, 0}, {bell_->fd(), POLLIN, 0}};
  while (::poll(waits, 3, -1) >= 0 || errno == EINTR) {
    if ((waits[1].revents & POLLIN) != 0) return;
    if (bell_->take()) offer_again();
    while (const auto fault = userfault_->next_fault()) offer(*fault);
  }
}

void FaultService::offer(Fault fault) noexcept {
  if (sink_.on_fault(fault)) return;
  fault.put_off = true;
  put_off_.push_back(fault);
}

void FaultService::offer_again() noexcept {
  std::erase_if(put_off_, [this](const Fault& fault) { return sink_.on_fault(fault); });
}

bool FaultService::another_waits() const noexcept {
  pollfd wait{userfault_->fd(), POLLIN, 0};
  return ::poll(&wait, 1, 0) > 0;
}

TraceLine fault_line(std::string_view what, const Fault& fault, const Chunk& chunk,
                     const GuestMemory& memory) noexcept {
  const std::uint64_t offset = fault.address - reinterpret_cast<std::uintptr_t>(chunk.host);
  const Gpa page = memory.page_address(chunk.first_page + offset / kPageSize);
  return TraceLine(TraceKind::kFaults, what).address("address", page.value() + offset % kPageSize);
}

std::vector<std::span<std::byte>> ranges_of(const GuestMemory& memory) {
  std::vector<std::span<std::byte>> ranges;
  for (const MemoryRegion& region : memory.regions()) ranges.emplace_back(region.host, region.size);
  return ranges;
}

}  // namespace tintype
