// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>

#include "devices/virtio/device.h"
#include "devices/virtio/spec.h"

namespace tintype {

/// A virtio entropy device (5.4): fills buffers from the host's getrandom(). It keeps nothing, so two
/// machines restored from one state get different numbers from it.
class VirtioRng final : public VirtioDevice {
 public:
  std::uint32_t device_id() const noexcept override { return virtio::kDeviceEntropy; }
  std::uint64_t features() const noexcept override { return 0; }
  std::span<const std::uint16_t> queue_sizes() const noexcept override { return kQueueSizes; }
  void connect(VirtioHost& host) noexcept override { host_ = &host; }
  std::span<const std::byte> config() const noexcept override { return {}; }

  QueueError handle(std::uint16_t queue, const DescriptorChain& chain) noexcept override;

  StateRecord save(const VirtioMmioStateV1& transport) const override { return to_record(VirtioRngStateV1{transport}); }
  VirtioMmioStateV1 check_record(const StateRecord& record, std::string_view name) const override;

 private:
  static constexpr std::array<std::uint16_t, 1> kQueueSizes = {64};
  VirtioHost* host_ = nullptr;
};

}  // namespace tintype
