// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/state/tsc_group.h"

#include "checkpoint/state/brief_call.h"

namespace tintype {

namespace {

constexpr std::chrono::seconds kLongest{10};  ///< between two calls of one restore; more is something else

}  // namespace

// A distance of 0 is that of a KVM whose guests read the host's counter, which nobody sets.
std::optional<TscGroup::First> TscGroup::look_at(const KvmVcpu& vcpu) {
  const auto offset = vcpu.tsc_offset();
  if (offset.value_or(0) == 0) return std::nullopt;
  First first{0, *offset, {}};
  first.at = brief_call([&] { first.value = vcpu.msr(kMsrTsc).value_or(0); });
  return first;
}

std::uint64_t TscGroup::read(const KvmVcpu& vcpu, std::uint64_t value) {
  if (vcpu.id() == 0) {
    read_ = look_at(vcpu);
    return read_ ? read_->value : value;
  }
  const auto offset = read_ ? vcpu.tsc_offset() : std::nullopt;
  return offset ? read_->value + (*offset - read_->offset) : value;
}

// In checkpoints of older programs each was read when its turn came: what lies within a second is one, as KVM has it.
bool TscGroup::give(KvmVcpu& vcpu, std::uint64_t value) {
  if (vcpu.id() == 0 || !given_) return false;
  const std::uint64_t ahead = value - given_->value, second = std::uint64_t{vcpu.tsc_khz()} * 1000;
  const bool is_one = ahead + second < 2 * second;
  return vcpu.set_tsc_offset(given_->offset + (is_one ? 0 : ahead));
}

// It is looked at once more, to know when it had just that value.
void TscGroup::written(const KvmVcpu& vcpu, std::uint64_t value) {
  if (vcpu.id() != 0) return;
  given_ = look_at(vcpu);
  if (!given_) return;
  const double gone = static_cast<double>(given_->value - value) * 1e6 / vcpu.tsc_khz();
  if (gone < static_cast<double>(std::chrono::nanoseconds(kLongest).count()))
    given_->at -= std::chrono::nanoseconds(static_cast<std::int64_t>(gone));
  given_->value = value;
}

std::chrono::nanoseconds TscGroup::since(const std::optional<First>& first, Clock::time_point now) {
  if (!first || now < first->at || now - first->at > kLongest) return {};
  return now - first->at;
}

}  // namespace tintype
