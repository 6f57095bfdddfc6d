// SPDX-License-Identifier: Apache-2.0
// The registers of MmioTransport (4.2.2) and its status machine (2.1, 3.1). All of it runs on vCPU threads.
#include <algorithm>
#include <chrono>
#include <cstring>

#include "devices/virtio/mmio_transport.h"
#include "devices/virtio/spec.h"
#include "vmm/base/thread.h"

namespace tintype {

using namespace virtio;

static_assert(kVirtioNotifyOffset == kQueueNotify);

namespace {

/// How long a vCPU that resets its device waits for the host, before it is left to poll Status; and how often it looks
/// whether it is wanted elsewhere.
constexpr std::chrono::milliseconds kResetPatience(100), kResetGlance(1);

void set_low(std::uint64_t& address, std::uint32_t value) { address = (address & ~0xffffffffULL) | value; }
void set_high(std::uint64_t& address, std::uint32_t value) {
  address = (address & 0xffffffffULL) | (std::uint64_t{value} << 32);
}

/// The half of a 64-bit feature word that a selector register chooses; there are only two.
std::uint32_t half(std::uint64_t features, std::uint32_t selector) {
  return selector > 1 ? 0 : static_cast<std::uint32_t>(features >> (32 * selector));
}

}  // namespace

void MmioTransport::bus_read(std::uint64_t offset, std::span<std::byte> data) noexcept {
  std::fill(data.begin(), data.end(), std::byte{0});
  if (offset >= kConfig) {
    const Held held = lock_.work();
    return read_config(offset - kConfig, data);
  }
  std::uint32_t value = 0;
  if (data.size() != sizeof value || offset % sizeof value != 0) return;  // 4.2.2.2: control registers are read whole
  if (offset == kInterruptStatus) {
    value = interrupt_status_.load();
  } else {
    const Held held = lock_.work();
    value = read_register(offset);
  }
  std::memcpy(data.data(), &value, sizeof value);
}

void MmioTransport::bus_write(std::uint64_t offset, std::span<const std::byte> data) noexcept {
  std::uint32_t value = 0;
  if (offset >= kConfig) {
    const Held held = lock_.work();
    return device_.write_config(offset - kConfig, data);
  }
  if (data.size() != sizeof value || offset % sizeof value != 0) return;
  std::memcpy(&value, data.data(), sizeof value);
  if (offset == kQueueNotify) {
    if (value < bells_.size()) bells_[value].signal();
  } else if (offset == kInterruptAck) {
    interrupt_status_.fetch_and(~value);
  } else {
    Held held = lock_.work();
    if (resetting()) wait_until_quiescent(held);  // a driver that does not poll Status
    if (!resetting()) write_register(offset, value, held);
  }
}

void MmioTransport::read_config(std::uint64_t offset, std::span<std::byte> data) const noexcept {
  const std::span<const std::byte> config = device_.config();
  if (offset >= config.size()) return;
  const std::size_t count = std::min(data.size(), config.size() - offset);
  std::memcpy(data.data(), config.data() + offset, count);
}

std::uint32_t MmioTransport::read_register(std::uint64_t offset) const noexcept {
  switch (offset) {
    case kMagicValue:
      return kMagic;
    case kVersion:
      return kTransportVersion;
    case kDeviceId:
      return device_.device_id();
    case kVendorId:
      return kVendor;
    case kDeviceFeatures:
      return half(offered_features(), device_features_selector_);
    case kQueueNumMax:
      return selected_queue_max();
    case kQueueReady:
      return queue_reads_ready() ? 1 : 0;
    case kStatus:
      return visible_status();
    case kConfigGeneration:
      return config_generation_;
    default:
      return offset >= kSharedMemoryFirst && offset <= kSharedMemoryLast ? ~0U : 0;
  }
}

void MmioTransport::write_register(std::uint64_t offset, std::uint32_t value, Held& held) noexcept {
  switch (offset) {
    case kDeviceFeaturesSel:
      device_features_selector_ = value;
      break;
    case kDriverFeaturesSel:
      driver_features_selector_ = value;
      break;
    case kDriverFeatures:
      write_driver_features(value);
      break;
    case kQueueSel:
      queue_selector_ = value;
      break;
    case kStatus:
      write_status(value, held);
      break;
    default:
      write_queue_register(offset, value, held);
      break;
  }
}

// --- Queue registers ---

std::uint32_t MmioTransport::selected_queue_max() const noexcept {
  const Queue* queue = selected_queue();
  return queue == nullptr ? 0 : queue->max_size();
}

// A queue that was stopped reads as ready until the host is done with its buffers (4.2.2.2: the driver reads
// it back to be sure).
bool MmioTransport::queue_reads_ready() const noexcept {
  const Queue* queue = selected_queue();
  return queue != nullptr && (queue->ready() || device_.quiescing());
}

void MmioTransport::write_queue_register(std::uint64_t offset, std::uint32_t value, Held& held) noexcept {
  Queue* queue = selected_queue();
  if (queue == nullptr) return;
  if (offset == kQueueReady) return set_queue_ready(value, held);
  QueueLayout layout = queue->layout();
  switch (offset) {
    case kQueueNum:
      layout.size = value;
      break;
    case kQueueDescLow:
      set_low(layout.descriptors, value);
      break;
    case kQueueDescHigh:
      set_high(layout.descriptors, value);
      break;
    case kQueueDriverLow:
      set_low(layout.available, value);
      break;
    case kQueueDriverHigh:
      set_high(layout.available, value);
      break;
    case kQueueDeviceLow:
      set_low(layout.used, value);
      break;
    case kQueueDeviceHigh:
      set_high(layout.used, value);
      break;
    default:
      return;  // read-only, or no register at all
  }
  if (queue->ready()) return fail(QueueError::kChangedWhileReady);
  queue->registers() = layout;
}

void MmioTransport::set_queue_ready(std::uint32_t value, Held& held) noexcept {
  Queue& queue = *selected_queue();
  if (value == 1 && !queue.ready()) {
    const QueueError error = queue.start();
    if (error != QueueError::kNone) fail(error);
  } else if (value == 0 && queue.ready()) {
    device_.abandon(static_cast<std::uint16_t>(queue_selector_));
    queue.stop();
    std::erase_if(to_issue_again_, [this](const ChainInFlight& chain) { return chain.queue == queue_selector_; });
    wait_until_quiescent(held);
  }
}

// --- Features and status ---

std::uint64_t MmioTransport::offered_features() const noexcept {
  return device_.features() | kFeatureVersion1 | kFeatureIndirectDescriptors | kFeatureEventIndex;
}

void MmioTransport::write_driver_features(std::uint32_t value) noexcept {
  if ((status_ & kStatusFeaturesOk) != 0) return;  // agreed on, and not to be changed (3.1.1)
  if (driver_features_selector_ == 0) set_low(driver_features_, value);
  if (driver_features_selector_ == 1) set_high(driver_features_, value);
}

bool MmioTransport::running() const noexcept {
  return (status_ & (kStatusDriverOk | kStatusNeedsReset)) == kStatusDriverOk;
}

void MmioTransport::write_status(std::uint32_t value, Held& held) noexcept {
  if (value == 0) return reset(held);
  const std::uint32_t driver_bits = kStatusKnown & ~kStatusNeedsReset;
  const std::uint32_t added =
      value & driver_bits & ~status_;  // a driver must not clear a bit (2.1.1), so none is cleared
  status_ |= added & (kStatusAcknowledge | kStatusDriver | kStatusFailed);
  if ((added & kStatusFeaturesOk) != 0) accept_features();
  if ((added & kStatusDriverOk) != 0 && (status_ & kStatusFeaturesOk) != 0) activate();
}

// Where the features do not suit us, FEATURES_OK stays clear, and a driver that reads it back knows (2.2.2).
void MmioTransport::accept_features() noexcept {
  const bool has_driver = (status_ & kStatusAcknowledge) != 0 && (status_ & kStatusDriver) != 0;
  const bool offered = (driver_features_ & ~offered_features()) == 0;
  if (has_driver && offered && (driver_features_ & kFeatureVersion1) != 0) status_ |= kStatusFeaturesOk;
}

void MmioTransport::activate() noexcept {
  status_ |= kStatusDriverOk;
  if (!running()) return;
  for (Queue& queue : queues_) queue.set_features(driver_features_);
  device_.activate(driver_features_);
  for (EventFd& bell : bells_) bell.signal();  // buffers may have been made available before
}

void MmioTransport::forget_everything() noexcept {
  for (std::uint16_t i = 0; i < queues_.size(); ++i) {
    device_.abandon(i);
    queues_[i].reset();
  }
  device_.reset();
  to_issue_again_.clear();
  failure_ = QueueError::kNone;
  status_ = status_before_reset_ = 0;
  driver_features_ = 0;
  device_features_selector_ = driver_features_selector_ = queue_selector_ = 0;
  interrupt_status_ = 0;
}

void MmioTransport::reset(Held& held) noexcept {
  const std::uint32_t before = status_;
  forget_everything();
  if (!device_.quiescing()) return;
  status_before_reset_ = before;
  wait_until_quiescent(held);
}

void MmioTransport::note_quiescent() noexcept {
  if (device_.quiescing()) return;
  status_before_reset_ = 0;
  quiescent_.notify_all();
}

// Without a thread there is nobody to wait for: the driver polls. A vCPU that is to park must not wait here for a host
// that may be slow: it comes back, and waits on at its next access.
void MmioTransport::wait_until_quiescent(Held& held) noexcept {
  if (thread_ == nullptr) return;
  const auto give_up = std::chrono::steady_clock::now() + kResetPatience;
  while (device_.quiescing() && !this_thread_is_called_back() && std::chrono::steady_clock::now() < give_up) {
    quiescent_.wait_for(held, kResetGlance);
  }
}

}  // namespace tintype
