// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/state/tsc_group.h"

namespace tintype {

// A distance of 0 is that of a KVM whose guests read the host's counter, which nobody sets.
std::optional<TscGroup::First> TscGroup::first_of(const KvmVcpu& vcpu, std::uint64_t value) {
  const auto offset = vcpu.tsc_offset();
  return offset.value_or(0) != 0 ? std::optional(First{value, *offset}) : std::nullopt;
}

std::uint64_t TscGroup::read(const KvmVcpu& vcpu, std::uint64_t value) {
  if (vcpu.id() == 0) read_ = first_of(vcpu, value);
  const auto offset = vcpu.id() != 0 && read_ ? vcpu.tsc_offset() : std::nullopt;
  return offset ? read_->value + (*offset - read_->offset) : value;
}

// In checkpoints of older programs each was read when its turn came: what lies within a second is one, as KVM has it.
bool TscGroup::give(KvmVcpu& vcpu, std::uint64_t value) {
  if (vcpu.id() == 0 || !given_) return false;
  const std::uint64_t ahead = value - given_->value, second = std::uint64_t{vcpu.tsc_khz()} * 1000;
  const bool is_one = ahead + second < 2 * second;
  return vcpu.set_tsc_offset(given_->offset + (is_one ? 0 : ahead));
}

void TscGroup::written(const KvmVcpu& vcpu, std::uint64_t value) {
  if (vcpu.id() == 0) given_ = first_of(vcpu, value);
}

}  // namespace tintype
