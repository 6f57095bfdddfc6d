// SPDX-License-Identifier: Apache-2.0
#pragma once

// The two ways through a list of pairs (our field, KVM's field): saving and restoring.

#include <type_traits>

namespace tintype {

inline constexpr auto kFromKvm = [](auto& ours, const auto& kvm) {
  ours = static_cast<std::remove_reference_t<decltype(ours)>>(kvm);
};
inline constexpr auto kToKvm = [](const auto& ours, auto& kvm) {
  kvm = static_cast<std::remove_reference_t<decltype(kvm)>>(ours);
};

}  // namespace tintype
