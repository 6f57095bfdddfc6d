// SPDX-License-Identifier: Apache-2.0
#include "devices/virtio/mmio_transport.h"

#include <algorithm>
#include <chrono>
#include <cstring>

#include "devices/virtio/spec.h"
#include "vmm/base/error.h"

namespace tintype {

using namespace virtio;

// How a transport lives: construction, thread, freezing and saved state. Its registers are in
// mmio_registers.cpp, its work on queues in mmio_queues.cpp.

MmioTransport::MmioTransport(std::string name, GuestMemory& memory, IrqLine& interrupt, VirtioDevice& device)
    : name_(std::move(name)), memory_(memory), interrupt_(interrupt), device_(device) {
  for (const std::uint16_t size : device.queue_sizes()) queues_.emplace_back(memory, size);
  bells_ = std::vector<EventFd>(queues_.size());
  device.connect(*this);
}

MmioTransport::~MmioTransport() { stop(); }

void MmioTransport::start() {
  std::vector<IoThread::Source> sources;
  for (std::uint16_t queue = 0; queue < queues_.size(); ++queue) {
    sources.push_back({bells_[queue].fd(), [this, queue] {
                         bells_[queue].take();
                         serve_queue(queue);
                       }});
  }
  sources.push_back({wake_.fd(), [this] {
                       wake_.take();
                       serve_restored();
                     }});
  if (device_.completion_fd() >= 0) sources.push_back({device_.completion_fd(), [this] { serve_completions(); }});
  IoThread::Polling polling;
  if (device_.completion_fd() >= 0) polling = {[this] { return look_for_work(); }, [this] { rest(); }};
  looking_ = polling.look != nullptr;
  thread_ = std::make_unique<IoThread>(
      name_, lock_, std::move(sources), [this] { end_batch(); }, std::move(polling));
}

void MmioTransport::stop() noexcept {
  thread_.reset();
  looking_ = false;
}

void MmioTransport::serve_everything() noexcept {
  const Held held = lock_.work();
  wake_.take();
  serve_restored();
  serve_completions();
  for (std::uint16_t queue = 0; queue < queues_.size(); ++queue) {
    if (bells_[queue].take()) serve_queue(queue);
  }
  end_batch();
}

QueueError MmioTransport::failure() noexcept {
  const Held held = lock_.work();
  return failure_;
}

// --- Saved state ---

VirtioMmioStateV1 MmioTransport::save_transport() const {
  VirtioMmioStateV1 state{status_,
                          interrupt_status_.load(),
                          config_generation_,
                          driver_features_,
                          device_features_selector_,
                          driver_features_selector_,
                          queue_selector_,
                          {}};
  for (const Queue& queue : queues_) state.queues.push_back(queue.save());
  return state;
}

StateRecord MmioTransport::save_state() const { return device_.save(save_transport()); }

void MmioTransport::check_state(const StateRecord& record) const {
  check_transport(device_.check_record(record, name_));
}

void MmioTransport::check_transport(const VirtioMmioStateV1& state) const {
  const auto expect = [this](bool holds, std::string_view otherwise) {
    if (!holds) throw StateError("the saved state of {} is damaged: {}", name_, otherwise);
  };
  const auto has = [&](std::uint32_t bits) { return (state.status & bits) == bits; };
  expect((state.status & ~kStatusKnown) == 0, "its status has unknown bits");
  expect(!has(kStatusDriverOk) || has(kStatusFeaturesOk), "its driver is ready without features agreed on");
  expect(!has(kStatusFeaturesOk) || has(kStatusAcknowledge | kStatusDriver), "features agreed on without a driver");
  expect((state.interrupt_status & ~(kInterruptUsedBuffer | kInterruptConfigChange)) == 0,
         "its interrupt status has unknown bits");
  if (has(kStatusFeaturesOk)) {
    expect((state.driver_features & ~offered_features()) == 0,
           "its driver uses features that this program does not offer");
    expect((state.driver_features & kFeatureVersion1) != 0, "its driver is older than virtio 1.0");
  }
  // An older program gave a disk one queue, and the driver knows of no other.
  expect(!state.queues.empty() && state.queues.size() <= queues_.size(), "it has another number of queues");
  for (std::size_t i = 0; i < state.queues.size(); ++i) {
    const VirtioQueueStateV1& queue = state.queues[i];
    queues_[i].check_state(queue, name_, has(kStatusNeedsReset));
    expect(queue.in_flight.empty() || (has(kStatusDriverOk) && !has(kStatusNeedsReset)),
           "it has requests in flight although it does not run");
  }
}

void MmioTransport::restore_state(const StateRecord& record) {
  const VirtioMmioStateV1 state = device_.check_record(record, name_);
  check_transport(state);
  forget_everything();  // where a device that has run goes back in time, its requests are nobody's any more

  const auto& [status, interrupt_status, config_generation, driver_features, device_features_selector,
               driver_features_selector, queue_selector, queues] = state;
  status_ = status;
  interrupt_status_ = interrupt_status;
  config_generation_ = config_generation;
  driver_features_ = driver_features;
  device_features_selector_ = device_features_selector;
  driver_features_selector_ = driver_features_selector;
  queue_selector_ = queue_selector;
  for (std::size_t i = 0; i < queues.size(); ++i) {
    queues_[i].restore(queues[i], driver_features);
    for (const std::uint16_t head : queues[i].in_flight)
      to_issue_again_.push_back({static_cast<std::uint16_t>(i), head});
  }
  device_.restore(record);
  if (running()) device_.activate(driver_features_);
  restored_ = true;
  wake_.signal();
}

}  // namespace tintype
