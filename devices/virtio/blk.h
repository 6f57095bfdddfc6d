// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "devices/block/backend.h"
#include "devices/virtio/blk_executor.h"
#include "devices/virtio/device.h"
#include "devices/virtio/spec.h"
#include "vmm/base/trace.h"

namespace tintype {

/// A virtio block device (5.2): queues of 256, read-only where the backend is. It has a write cache, which FLUSH
/// empties, and which the driver may switch off (CONFIG_WCE).
///
/// Requests are parsed by blk_request, carried out by BlkExecutor, and given back in whatever order the host
/// finishes them. The backend must be closed before this object goes, so that no request points into it.
class VirtioBlk final : public VirtioDevice, private BlkExecutor::Listener {
 public:
  explicit VirtioBlk(BlockBackend& backend, std::size_t queues = 1);

  std::uint32_t device_id() const noexcept override { return virtio::kDeviceBlock; }
  std::uint64_t features() const noexcept override;
  std::span<const std::uint16_t> queue_sizes() const noexcept override { return queue_sizes_; }
  int completion_fd() const noexcept override { return backend_.completion_fd(); }
  void connect(VirtioHost& host) noexcept override { host_ = &host; }
  std::span<const std::byte> config() const noexcept override { return std::as_bytes(std::span(&config_, 1)); }

  void write_config(std::uint64_t offset, std::span<const std::byte> data) noexcept override;
  void reset() noexcept override;
  void activate(std::uint64_t negotiated) noexcept override;
  bool has_room() const noexcept override { return executor_.has_room(); }
  QueueError handle(std::uint16_t queue, const DescriptorChain& chain) noexcept override;
  void end_batch() noexcept override { executor_.kick(); }
  void complete() noexcept override { executor_.complete(); }
  bool poll() noexcept override { return executor_.poll(); }
  void abandon(std::uint16_t queue) noexcept override { executor_.abandon(queue); }
  bool quiescing() const noexcept override { return executor_.quiescing(); }

  StateRecord save(const VirtioMmioStateV1& transport) const override;
  VirtioMmioStateV1 check_record(const StateRecord& record, std::string_view name) const override;
  void restore(const StateRecord& record) override;

 private:
  void finished(const BlkExecutor::Slot& slot, int error_number) noexcept override;
  void data_landed(const BlkCommand& command) noexcept override;
  void answer(const BlkExecutor::Slot& slot, std::uint8_t status, std::uint32_t data_written) noexcept;
  TraceLine trace_line(std::string_view what, const BlkExecutor::Slot& slot) const noexcept;
  void trace_request(const BlkExecutor::Slot& slot) const noexcept;
  void answer_id(const BlkExecutor::Slot& slot) noexcept;
  void choose_cache() noexcept;

  BlockBackend& backend_;
  const std::vector<std::uint16_t> queue_sizes_;
  const std::string serial_;
  const BlkLimits limits_;
  virtio::BlkConfig config_;
  std::uint64_t negotiated_ = 0;
  VirtioHost* host_ = nullptr;
  BlkExecutor executor_;
};

}  // namespace tintype
