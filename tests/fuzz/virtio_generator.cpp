// SPDX-License-Identifier: Apache-2.0
// Inputs for virtio_fuzz.cpp: mostly a driver that starts honestly, works for a while, and breaks one rule or
// another on the way.
#include "tests/fuzz/generator.h"
#include "tests/fuzz/virtio_steps.h"

namespace tintype {
namespace {

class Writer {
 public:
  explicit Writer(std::mt19937_64& random) : random_(random) {}

  std::uint64_t below(std::uint64_t limit) { return random_() % limit; }
  void byte(std::uint64_t value) { bytes_.push_back(static_cast<std::uint8_t>(value)); }
  void any(unsigned count) {
    while (count-- > 0) byte(random_());
  }
  /// A choice of ByteSource::one_of, kept to the first `limit` of the list most of the time.
  void choice(std::uint64_t limit) { byte(below(16) == 0 ? random_() : below(limit)); }
  void step(VirtioStep step) { byte(virtio_step_byte(step)); }
  std::vector<std::uint8_t> take() { return std::move(bytes_); }

 private:
  std::mt19937_64& random_;
  std::vector<std::uint8_t> bytes_;
};

void start_driver(Writer& out) {
  out.step(VirtioStep::kStartDriver);
  out.choice(5);           // features
  out.byte(out.below(9));  // size, as a power of two
  out.choice(7);           // rings
}

void request(Writer& out) {
  out.step(VirtioStep::kRequest);
  out.choice(8);  // type
  out.choice(5);  // sector
  const std::uint64_t buffers = out.below(4);
  out.byte(buffers);
  out.any(2);  // indirect, first descriptor
  for (std::uint64_t i = 0; i < buffers; ++i) {
    out.choice(5), out.any(1);  // address
    out.choice(5);              // length
  }
  out.choice(5), out.any(1);  // status
}

void long_chain(Writer& out) {
  out.step(VirtioStep::kLongChain);
  out.byte(0), out.any(1);     // first, count
  out.choice(5), out.any(1);   // address
  out.choice(15), out.any(1);  // length, flags
  out.step(VirtioStep::kAvailable), out.byte(0);
}

void saving_step(Writer& out) {
  switch (out.below(8)) {
    case 0:
      return out.step(VirtioStep::kSave);
    case 1:
      return out.step(VirtioStep::kSaveRestore);
    case 2:
      return out.step(VirtioStep::kRestoreDamaged), out.any(6);
    default:
      return out.step(VirtioStep::kServe);
  }
}

void anything(Writer& out) { out.any(1 + static_cast<unsigned>(out.below(12))); }

void work(Writer& out) {
  switch (out.below(16)) {
    case 0:
    case 1:
    case 2:
    case 3:
    case 4:
      return request(out);
    case 5:
    case 6:
    case 7:
      return out.step(VirtioStep::kKick);
    case 8:
      return out.step(VirtioStep::kServe);
    case 9:
    case 10:
    case 11:
      return out.step(VirtioStep::kFinish), out.any(2);
    case 12:
      return saving_step(out);
    case 13:
      return out.step(VirtioStep::kDescriptor), out.any(1), out.choice(15), out.any(1), out.choice(15), out.any(3);
    case 14:
      return out.step(VirtioStep::kConfigChange);
    default:
      return out.below(4) != 0 ? anything(out) : out.below(2) == 0 ? start_driver(out) : long_chain(out);
  }
}

}  // namespace

std::vector<std::uint8_t> generate_input(std::mt19937_64& random) {
  Writer out(random);
  out.any(4);  // memory, read-only, kind of device, whether it is saved at the end
  if (out.below(16) != 0) start_driver(out);
  for (auto left = out.below(70); left > 0; --left) work(out);
  return out.take();
}

}  // namespace tintype
