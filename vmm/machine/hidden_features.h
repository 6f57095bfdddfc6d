// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <linux/kvm.h>

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace tintype {

enum class CpuidRegister : std::uint8_t { kEax, kEbx, kEcx, kEdx, kAll };

/// Bits of CPUID that KVM supports on some host and that no guest is shown: what they promise could not be kept.
struct HiddenFeature {
  std::uint32_t leaf;     ///< EAX of the CPUID instruction
  std::uint32_t subleaf;  ///< ECX of the CPUID instruction, or kAnySubleaf
  CpuidRegister where;
  std::uint32_t bits;
  std::string_view name;    ///< as `lscpu` or the KVM documentation has it
  std::string_view reason;  ///< ends the sentence "hidden, because"
};

inline constexpr std::uint32_t kAnySubleaf = 0xffffffff;

/// All that is hidden, in one table. Sources: Intel SDM volume 2, CPUID; AMD APM volume 3, appendix E; for leaf
/// 0x40000001 the kernel's Documentation/virt/kvm/x86/cpuid.rst.
std::span<const HiddenFeature> hidden_features() noexcept;

/// Clears every bit of the table. Only for machines that boot: a restored guest keeps what it has seen.
void hide_features(std::span<kvm_cpuid_entry2> leaves) noexcept;

}  // namespace tintype
