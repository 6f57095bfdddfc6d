// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/state/cpu_features.h"

#include <array>
#include <cstdint>

#include <fmt/format.h>

namespace tintype {

namespace {

enum class Register : std::uint8_t { kEax, kEbx, kEcx, kEdx };

/// A CPUID register whose bits are features: a set bit is a promise to the guest (Intel SDM volume 2, CPUID; AMD APM
/// volume 3, appendix E).
struct FeatureWord {
  std::uint32_t function, index;
  Register where;
  std::uint32_t ignored;  ///< bits that are not promises of the host: OSXSAVE, hypervisor, x2APIC and TSC deadline (KVM
                          ///< emulates both)
};

constexpr std::array kFeatureWords = {
    FeatureWord{0x1, 0, Register::kEcx, 1U << 27 | 1U << 31 | 1U << 21 | 1U << 24},
    FeatureWord{0x1, 0, Register::kEdx, 1U << 28},
    FeatureWord{0x7, 0, Register::kEbx, 0},
    FeatureWord{0x7, 0, Register::kEcx, 1U << 4},
    FeatureWord{0x7, 0, Register::kEdx, 0},
    FeatureWord{0x7, 1, Register::kEax, 0},
    FeatureWord{0xd, 0, Register::kEax, 0},
    FeatureWord{0xd, 1, Register::kEax, 0},
    FeatureWord{0x80000001, 0, Register::kEcx, 1U << 1},
    FeatureWord{0x80000001, 0, Register::kEdx, 0},
    FeatureWord{0x80000008, 0, Register::kEbx, 0},
};

struct NamedBit {
  std::uint32_t function, index;
  Register where;
  unsigned bit;
  const char* name;
};

constexpr std::array kNames = {
    NamedBit{0x1, 0, Register::kEcx, 0, "sse3"},       NamedBit{0x1, 0, Register::kEcx, 9, "ssse3"},
    NamedBit{0x1, 0, Register::kEcx, 12, "fma"},       NamedBit{0x1, 0, Register::kEcx, 19, "sse4.1"},
    NamedBit{0x1, 0, Register::kEcx, 20, "sse4.2"},    NamedBit{0x1, 0, Register::kEcx, 23, "popcnt"},
    NamedBit{0x1, 0, Register::kEcx, 25, "aes"},       NamedBit{0x1, 0, Register::kEcx, 26, "xsave"},
    NamedBit{0x1, 0, Register::kEcx, 28, "avx"},       NamedBit{0x1, 0, Register::kEcx, 30, "rdrand"},
    NamedBit{0x7, 0, Register::kEbx, 3, "bmi1"},       NamedBit{0x7, 0, Register::kEbx, 5, "avx2"},
    NamedBit{0x7, 0, Register::kEbx, 8, "bmi2"},       NamedBit{0x7, 0, Register::kEbx, 16, "avx512f"},
    NamedBit{0x7, 0, Register::kEbx, 18, "rdseed"},    NamedBit{0x7, 0, Register::kEbx, 29, "sha"},
    NamedBit{0x80000001, 0, Register::kEdx, 20, "nx"}, NamedBit{0x80000001, 0, Register::kEdx, 26, "pdpe1gb"},
    NamedBit{0x80000001, 0, Register::kEdx, 29, "lm"},
};

std::uint32_t value_of(const kvm_cpuid_entry2& leaf, Register where) {
  switch (where) {
    case Register::kEax:
      return leaf.eax;
    case Register::kEbx:
      return leaf.ebx;
    case Register::kEcx:
      return leaf.ecx;
    case Register::kEdx:
      return leaf.edx;
  }
  return 0;
}

/// A list may name a leaf more than once; then what any of them has counts.
std::uint32_t word_of(std::span<const kvm_cpuid_entry2> leaves, const FeatureWord& word) {
  std::uint32_t bits = 0;
  for (const kvm_cpuid_entry2& leaf : leaves) {
    if (leaf.function == word.function && leaf.index == word.index) bits |= value_of(leaf, word.where);
  }
  return bits;
}

std::string name_of(const FeatureWord& word, unsigned bit) {
  for (const NamedBit& named : kNames) {
    if (named.function == word.function && named.index == word.index && named.where == word.where && named.bit == bit)
      return named.name;
  }
  constexpr std::array kRegisterNames = {"eax", "ebx", "ecx", "edx"};
  return fmt::format("cpuid {:#x}.{} {} bit {}", word.function, word.index,
                     kRegisterNames[static_cast<std::size_t>(word.where)], bit);
}

}  // namespace

std::vector<std::string> missing_cpu_features(std::span<const kvm_cpuid_entry2> wanted,
                                              std::span<const kvm_cpuid_entry2> offered) {
  std::vector<std::string> missing;
  for (const FeatureWord& word : kFeatureWords) {
    const std::uint32_t lacking = word_of(wanted, word) & ~word_of(offered, word) & ~word.ignored;
    for (unsigned bit = 0; bit < 32; ++bit) {
      if ((lacking >> bit & 1) != 0) missing.push_back(name_of(word, bit));
    }
  }
  return missing;
}

}  // namespace tintype
