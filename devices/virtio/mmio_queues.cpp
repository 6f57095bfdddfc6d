// SPDX-License-Identifier: Apache-2.0
// MmioTransport's work on its queues: what the I/O thread does with the lock held.
#include "devices/virtio/mmio_transport.h"
#include "devices/virtio/spec.h"
#include "vmm/base/trace.h"

namespace tintype {

using namespace virtio;

namespace {

/// Chains taken from a queue under one hold of the lock. It bounds how long a freeze waits, and is enough to
/// make the rest cheap.
constexpr unsigned kBatch = 64;

}  // namespace

// --- Interrupts and failure ---

void MmioTransport::interrupt(std::uint32_t reason) noexcept {
  // The wire is an edge. It pulses even where the bit is set already: a driver may have read the bit, and
  // acknowledge it only after it has looked at the ring for the last time.
  interrupt_status_.fetch_or(reason);
  interrupt_.pulse();
}

void MmioTransport::fail(QueueError error) noexcept {
  if ((status_ & kStatusNeedsReset) != 0) return;
  if (traces(TraceKind::kVirtio))
    TraceLine(TraceKind::kVirtio, "failure").text("device", name_).text("why", text(error)).put();
  failure_ = error;
  status_ |= kStatusNeedsReset;
  for (std::uint16_t i = 0; i < queues_.size(); ++i) {
    device_.abandon(i);
    queues_[i].forget_in_flight();
  }
  to_issue_again_.clear();
  if ((status_ & kStatusDriverOk) != 0) interrupt(kInterruptConfigChange);  // 2.1.2
}

void MmioTransport::config_changed() noexcept {
  const Held held = lock_.work();
  ++config_generation_;
  if (running()) interrupt(kInterruptConfigChange);
}

// --- Taking chains ---

void MmioTransport::serve_queue(std::uint16_t index) noexcept {
  serve_restored();
  if (!running() || !queues_[index].ready() || !to_issue_again_.empty()) return;
  Queue& queue = queues_[index];
  unsigned budget = kBatch;
  queue.pause_kicks();
  while (serve_some(index, budget)) {
    if (looking_) return;
    const auto more = queue.resume_kicks();
    if (!more) return fail(more.error());
    if (!*more) return;
    queue.pause_kicks();
  }
}

// Takes chains until there are none: then true. False where the batch ends earlier, with the bell rung again
// if need be.
bool MmioTransport::serve_some(std::uint16_t index, unsigned& budget) noexcept {
  while (budget-- > 0 && !lock_.wanted()) {
    if (!device_.has_room()) return false;  // serve_completions() comes back
    const auto head = queues_[index].pop();
    if (!head) return fail(head.error()), false;
    if (!*head) return true;
    if (!handle_chain(index, **head)) return false;
  }
  budget = 0;
  if (!looking_) bells_[index].signal();
  return false;
}

bool MmioTransport::handle_chain(std::uint16_t queue, std::uint16_t head) noexcept {
  QueueError error = chain_.walk(memory_, queues_[queue], head);
  if (error == QueueError::kNone) error = device_.handle(queue, chain_);
  if (error != QueueError::kNone) fail(error);
  return running();
}

// --- Giving them back ---

void MmioTransport::give_back(std::uint16_t queue, std::uint16_t head, std::uint32_t written) noexcept {
  const QueueError error = queues_[queue].add_used(head, written);
  if (error != QueueError::kNone) fail(error);
}

void MmioTransport::serve_completions() noexcept {
  serve_restored();
  const bool was_full = !device_.has_room();
  device_.complete();
  note_quiescent();
  if (!was_full || !device_.has_room()) return;
  serve_restored();
  for (std::uint16_t i = 0; i < queues_.size(); ++i) serve_queue(i);
}

// The I/O thread, before it sleeps: what would ring a bell, had the bells not been asked to keep quiet.
bool MmioTransport::look_for_work() noexcept {
  if (!running() || restored_) return false;
  bool found = device_.poll();
  for (std::uint16_t i = 0; i < queues_.size() && running(); ++i) {
    if (!queues_[i].ready() || !device_.has_room() || !queues_[i].has_news()) continue;
    serve_queue(i);
    found = true;
  }
  if (found) end_batch();
  return found;
}

// From now on bells must ring. For what came between the last look and now none will, so it is rung here.
void MmioTransport::rest() noexcept {
  serve_completions();
  for (std::uint16_t i = 0; i < queues_.size() && running(); ++i) {
    if (!queues_[i].ready()) continue;
    const auto more = queues_[i].resume_kicks();
    if (!more) fail(more.error());
    if (more && *more && device_.has_room()) bells_[i].signal();
  }
  end_batch();
}

void MmioTransport::end_batch() noexcept {
  device_.end_batch();
  note_quiescent();
  if (!running()) return;
  bool wanted = false;
  for (Queue& queue : queues_) {
    if (!queue.ready()) continue;
    const auto published = queue.publish();
    if (!published) return fail(published.error());
    wanted = wanted || *published;
  }
  if (wanted) interrupt(kInterruptUsedBuffer);
}

// --- After a restore ---

// The machine that was photographed had requests under way, bells rung and interrupts sent that nobody here
// knows of. So everything is done once more: the requests issued again, every queue looked at, and an
// interrupt raised, which a driver that has nothing to do survives.
void MmioTransport::serve_restored() noexcept {
  if (!restored_) return;
  std::size_t issued = 0;
  while (issued < to_issue_again_.size() && running() && device_.has_room()) {
    const ChainInFlight chain = to_issue_again_[issued++];
    if (!handle_chain(chain.queue, chain.head)) return restored_ = false, void();
  }
  to_issue_again_.erase(to_issue_again_.begin(), to_issue_again_.begin() + static_cast<std::ptrdiff_t>(issued));
  if (!to_issue_again_.empty()) return;

  restored_ = false;
  if ((status_ & kStatusDriverOk) == 0) return;
  interrupt(running() ? kInterruptUsedBuffer : kInterruptConfigChange);
  for (EventFd& bell : bells_) bell.signal();
}

}  // namespace tintype
