// SPDX-License-Identifier: Apache-2.0
#include "devices/virtio/rng.h"

#include <sys/random.h>

#include "vmm/base/error.h"
#include "vmm/base/trace.h"

namespace tintype {

namespace {

/// Bytes given for one request at most. A driver asks again for more, and getrandom() never waits for so few.
constexpr std::size_t kMaxFill = 256;

}  // namespace

QueueError VirtioRng::handle(std::uint16_t queue, const DescriptorChain& chain) noexcept {
  if (chain.readable_bytes() != 0 || chain.writable_bytes() == 0) return QueueError::kMalformedRequest;  // 5.4.6.1
  std::array<std::byte, kMaxFill> bytes;
  const auto count = ::getrandom(bytes.data(), bytes.size(), 0);
  check(count == static_cast<ssize_t>(bytes.size()), "getrandom gives 256 bytes");
  const std::uint32_t given = copy_to(host_->memory(), chain.writable(), bytes);
  if (traces(TraceKind::kVirtio))
    TraceLine(TraceKind::kVirtio, "random").text("device", host_->name()).number("bytes", given).put();
  host_->give_back(queue, chain.head(), given);
  return QueueError::kNone;
}

VirtioMmioStateV1 VirtioRng::check_record(const StateRecord& record, std::string_view) const {
  return from_record<VirtioRngStateV1>(record).transport;
}

}  // namespace tintype
