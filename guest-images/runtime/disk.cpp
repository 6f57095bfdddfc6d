// SPDX-License-Identifier: Apache-2.0
#include "guest-images/runtime/disk.h"

#include "guest-images/runtime/interrupts.h"
#include "guest-images/runtime/options.h"

namespace tintype::guest {
namespace {

// Virtio 1.2, 5.2 and 6.
constexpr std::uint32_t kBlockDevice = 2;
constexpr std::uint64_t kFeatureFlush = std::uint64_t{1} << 9;
constexpr std::uint64_t kFeatureIndirect = std::uint64_t{1} << 28;
constexpr std::uint64_t kFeatureEventIndex = std::uint64_t{1} << 29;
constexpr std::uint64_t kFeatureVersion1 = std::uint64_t{1} << 32;
constexpr std::uint32_t kRead = 0;
constexpr std::uint32_t kWrite = 1;
constexpr std::uint32_t kFlush = 4;
constexpr std::uint8_t kOk = 0;
constexpr std::uint8_t kNoStatusYet = 0xff;

std::uint64_t wanted_features() {
  std::uint64_t features = 0;
  if (number_option("indirect", 1) != 0) features |= kFeatureIndirect;
  if (number_option("event_idx", 1) != 0) features |= kFeatureEventIndex;
  return features;
}

}  // namespace

bool Disk::open(std::uint32_t nth, bool polled) {
  device_ = VirtioMmio::find(kBlockDevice, nth);
  if (!device_.present()) return false;
  std::uint64_t agreed = 0;
  if (!device_.start(kFeatureVersion1 | kFeatureFlush, wanted_features(), agreed)) return false;
  std::uint32_t size = Virtqueue::kMaxSize;
  while (size > device_.queue_limit()) size /= 2;
  if (size < Virtqueue::kGroup) return false;
  queue_.start(size, {(agreed & kFeatureEventIndex) != 0, (agreed & kFeatureIndirect) != 0}, polled);
  device_.set_queue(queue_);
  device_.driver_ok();
  sectors_ = device_.config32(0) | std::uint64_t{device_.config32(4)} << 32;
  return true;
}

std::uint32_t Disk::interrupt_vector() const { return vector_of_pin(device_.pin()); }

void Disk::read(std::uint32_t tag, std::uint64_t sector, void* data, std::uint32_t sectors, std::uint32_t pieces) {
  submit(tag, kRead, sector, data, sectors * kSectorSize, pieces);
}

void Disk::write(std::uint32_t tag, std::uint64_t sector, const void* data, std::uint32_t sectors,
                 std::uint32_t pieces) {
  submit(tag, kWrite, sector, data, sectors * kSectorSize, pieces);
}

void Disk::flush(std::uint32_t tag) { submit(tag, kFlush, 0, nullptr, 0, 0); }

void Disk::kick() {
  if (notify_) device_.notify();
  notify_ = false;
}

void Disk::submit(std::uint32_t tag, std::uint32_t type, std::uint64_t sector, const void* data, std::uint32_t size,
                  std::uint32_t pieces) {
  const bool reading = type == kRead;
  headers_[tag] = Header{type, 0, sector};
  status_[tag] = kNoStatusYet;
  expected_bytes_[tag] = 1 + (reading ? size : 0);

  Segment segments[Virtqueue::kGroup];
  std::uint32_t count = 0;
  segments[count++] = Segment{&headers_[tag], sizeof(Header), false};
  const char* at = static_cast<const char*>(data);
  const std::uint32_t cut = pieces % 2 == 0 ? kSectorSize : 4;
  for (; pieces > 1; --pieces) {
    const std::uint32_t part = size / pieces / cut * cut;
    if (part == 0) continue;
    segments[count++] = Segment{at, part, reading};
    at += part;
    size -= part;
  }
  if (size != 0) segments[count++] = Segment{at, size, reading};
  segments[count++] = Segment{const_cast<const std::uint8_t*>(&status_[tag]), 1, true};
  if (queue_.submit(tag, segments, count)) notify_ = true;
}

bool Disk::take(Completion& completion) {
  Virtqueue::Completion done;
  if (!queue_.take(done)) return false;
  completion = {done.tag, Outcome::kDone};
  if (!done.expected)
    completion.outcome = Outcome::kNotInFlight;
  else if (status_[done.tag] != kOk)
    completion.outcome = Outcome::kFailed;
  else if (done.bytes_written != expected_bytes_[done.tag])
    completion.outcome = Outcome::kWrongSize;
  return true;
}

}  // namespace tintype::guest
