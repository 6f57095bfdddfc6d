// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "devices/device.h"
#include "devices/irq_line.h"
#include "devices/virtio/chain.h"
#include "devices/virtio/device.h"
#include "devices/virtio/device_lock.h"
#include "devices/virtio/io_thread.h"
#include "devices/virtio/queue.h"
#include "vmm/base/event_fd.h"
#include "vmm/memory/guest_memory.h"

namespace tintype {

/// Length of the MMIO window of one virtio device.
inline constexpr std::uint64_t kVirtioWindow = 4096;
/// Where in the window a driver rings the bell of a queue (a 4-byte write of the queue's number).
inline constexpr std::uint64_t kVirtioNotifyOffset = 0x50;

/// Virtio over MMIO, version 2 (4.2): the registers, the status machine and the queues of one device, and its
/// I/O thread.
///
/// Register accesses come from vCPU threads. The bell (QueueNotify) and the interrupt registers take no lock;
/// everything else takes the device's, which the I/O thread holds for a batch of chains at a time.
///
/// A driver that breaks the rules of the rings gets DEVICE_NEEDS_RESET and a configuration-change interrupt;
/// nothing more happens until it resets.
///
/// A reset while the host still works on requests is over when the host has finished, since only then does
/// nobody write into the driver's buffers any more. The vCPU waits a moment for that, unless it is called back
/// to be parked; until it is over Status reads as it did before, as 2.4 allows, and writes wait likewise.
class MmioTransport final : public Device, public BusDevice, private VirtioHost {
 public:
  /// `name` is the state's name, and the thread's. Everything given must outlive the transport. `device`
  /// belongs to it alone.
  MmioTransport(std::string name, GuestMemory& memory, IrqLine& interrupt, VirtioDevice& device);
  MmioTransport(const MmioTransport&) = delete;
  MmioTransport& operator=(const MmioTransport&) = delete;
  ~MmioTransport() override;

  /// Starts the I/O thread. After a restore, only when guest memory and the interrupt controllers are in
  /// place: the thread first issues the requests again that were in flight, looks at every queue, and
  /// interrupts once.
  void start();
  /// Stops the I/O thread; bells ring unheard afterwards. Not while frozen.
  void stop() noexcept;

  std::size_t queue_count() const noexcept { return queues_.size(); }
  /// Bell of a queue: to be registered as an ioeventfd at kVirtioNotifyOffset, length 4, datamatch `queue`. A
  /// write that exits rings the same bell.
  EventFd& queue_bell(std::size_t queue) noexcept { return bells_[queue]; }

  /// The device's configuration has changed (any thread): a new generation and an interrupt.
  void config_changed() noexcept;
  /// Why the device needs a reset, for status and traces.
  QueueError failure() noexcept;

  /// What the I/O thread does when all bells have rung. For tests and fuzzers, which have no thread.
  void serve_everything() noexcept;

  // BusDevice, Device
  void bus_read(std::uint64_t offset, std::span<std::byte> data) noexcept override;
  void bus_write(std::uint64_t offset, std::span<const std::byte> data) noexcept override;
  void freeze() noexcept override { lock_.freeze(); }
  void thaw() noexcept override { lock_.thaw(); }
  std::string state_name() const override { return name_; }
  StateRecord save_state() const override;
  void check_state(const StateRecord& record) const override;
  void restore_state(const StateRecord& record) override;

 private:
  using Held = std::unique_lock<std::mutex>;

  // VirtioHost
  GuestMemory& memory() noexcept override { return memory_; }
  std::string_view name() const noexcept override { return name_; }
  void give_back(std::uint16_t queue, std::uint16_t head, std::uint32_t written) noexcept override;

  // Registers (vCPU threads, lock held)
  std::uint32_t read_register(std::uint64_t offset) const noexcept;
  void write_register(std::uint64_t offset, std::uint32_t value, Held& held) noexcept;
  void write_queue_register(std::uint64_t offset, std::uint32_t value, Held& held) noexcept;
  void read_config(std::uint64_t offset, std::span<std::byte> data) const noexcept;
  Queue* selected_queue() noexcept { return queue_selector_ < queues_.size() ? &queues_[queue_selector_] : nullptr; }
  const Queue* selected_queue() const noexcept {
    return queue_selector_ < queues_.size() ? &queues_[queue_selector_] : nullptr;
  }
  std::uint32_t selected_queue_max() const noexcept;
  bool queue_reads_ready() const noexcept;
  void set_queue_ready(std::uint32_t value, Held& held) noexcept;
  void write_driver_features(std::uint32_t value) noexcept;

  // Status machine (vCPU threads, lock held)
  std::uint64_t offered_features() const noexcept;
  std::uint32_t visible_status() const noexcept { return resetting() ? status_before_reset_ : status_; }
  bool resetting() const noexcept { return status_before_reset_ != 0; }
  void write_status(std::uint32_t value, Held& held) noexcept;
  void accept_features() noexcept;
  void activate() noexcept;
  void reset(Held& held) noexcept;
  void forget_everything() noexcept;
  void wait_until_quiescent(Held& held) noexcept;
  void note_quiescent() noexcept;
  void fail(QueueError error) noexcept;
  bool running() const noexcept;

  // Queues (I/O thread, lock held)
  void serve_queue(std::uint16_t queue) noexcept;
  bool serve_some(std::uint16_t queue, unsigned& budget) noexcept;
  bool handle_chain(std::uint16_t queue, std::uint16_t head) noexcept;
  void serve_completions() noexcept;
  bool look_for_work() noexcept;
  void rest() noexcept;
  void serve_restored() noexcept;
  void end_batch() noexcept;
  void interrupt(std::uint32_t reason) noexcept;

  VirtioMmioStateV1 save_transport() const;
  void check_transport(const VirtioMmioStateV1& state) const;

  const std::string name_;
  GuestMemory& memory_;
  IrqLine& interrupt_;
  VirtioDevice& device_;

  DeviceLock lock_;
  std::condition_variable quiescent_;                ///< with lock_: the host has finished what was abandoned
  std::atomic<std::uint32_t> interrupt_status_ = 0;  ///< without lock_

  // What follows is guarded by lock_.
  std::uint32_t status_ = 0;
  std::uint32_t status_before_reset_ = 0;  ///< what a driver reads until the reset is over; 0: none is under way
  std::uint32_t config_generation_ = 0;
  std::uint64_t driver_features_ = 0;
  std::uint32_t device_features_selector_ = 0;
  std::uint32_t driver_features_selector_ = 0;
  std::uint32_t queue_selector_ = 0;
  std::vector<Queue> queues_;
  QueueError failure_ = QueueError::kNone;
  DescriptorChain chain_;  ///< used again for each chain, so that the hot path allocates nothing

  struct ChainInFlight {
    std::uint16_t queue = 0, head = 0;
  };
  bool looking_ = false;   ///< the I/O thread looks at the queues by itself, until rest()
  bool restored_ = false;  ///< the next batch begins with serve_restored()
  std::vector<ChainInFlight> to_issue_again_;

  std::vector<EventFd> bells_;        ///< by queue
  EventFd wake_;                      ///< there is work that no bell tells of
  std::unique_ptr<IoThread> thread_;  ///< last: it uses all of the above
};

}  // namespace tintype
