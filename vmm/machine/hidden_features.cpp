// SPDX-License-Identifier: Apache-2.0
#include "vmm/machine/hidden_features.h"

#include <array>

namespace tintype {

namespace {

constexpr std::uint32_t kAllBits = 0xffffffff;
constexpr std::uint32_t kKvmFeatures = 0x40000001;

constexpr std::string_view kNested = "the state of a guest's own guests is not saved";
constexpr std::string_view kEnclaves = "a guest is given no enclave memory";
constexpr std::string_view kPageReady =
    "the page that a task waits for may arrive after a capture, which then waits for ever";
constexpr std::string_view kOurPart = "the VMM would have to do its part, and does not";

constexpr std::array kHidden = {
    HiddenFeature{0x1, 0, CpuidRegister::kEcx, 1U << 5, "vmx", kNested},
    HiddenFeature{0x7, 0, CpuidRegister::kEbx, 1U << 2, "sgx", kEnclaves},
    HiddenFeature{0x7, 0, CpuidRegister::kEcx, 1U << 7, "shstk", "the shadow stack pointer is not saved"},
    HiddenFeature{0x7, 0, CpuidRegister::kEcx, 1U << 30, "sgx_lc", kEnclaves},
    HiddenFeature{0x12, kAnySubleaf, CpuidRegister::kAll, kAllBits, "SGX's leaf", kEnclaves},
    HiddenFeature{kKvmFeatures, 0, CpuidRegister::kEax, 1U << 4, "async-pf", kPageReady},
    HiddenFeature{kKvmFeatures, 0, CpuidRegister::kEax, 1U << 10, "async-pf-vmexit", kPageReady},
    HiddenFeature{kKvmFeatures, 0, CpuidRegister::kEax, 1U << 14, "async-pf-int", kPageReady},
    HiddenFeature{kKvmFeatures, 0, CpuidRegister::kEax, 1U << 15, "msi-ext-dest-id", kOurPart},
    HiddenFeature{kKvmFeatures, 0, CpuidRegister::kEax, 1U << 16, "hc-map-gpa-range", kOurPart},
    HiddenFeature{kKvmFeatures, 0, CpuidRegister::kEax, 1U << 17, "migration-control", kOurPart},
    HiddenFeature{0x80000001, 0, CpuidRegister::kEcx, 1U << 2, "svm", kNested},
    HiddenFeature{0x8000000a, kAnySubleaf, CpuidRegister::kAll, kAllBits, "SVM's leaf", kNested},
    HiddenFeature{0x8000001f, kAnySubleaf, CpuidRegister::kAll, kAllBits, "SEV's leaf",
                  "guest memory is not encrypted"},
};

void clear(kvm_cpuid_entry2& leaf, CpuidRegister where, std::uint32_t bits) noexcept {
  const auto here = [&](CpuidRegister one) { return where == one || where == CpuidRegister::kAll; };
  if (here(CpuidRegister::kEax)) leaf.eax &= ~bits;
  if (here(CpuidRegister::kEbx)) leaf.ebx &= ~bits;
  if (here(CpuidRegister::kEcx)) leaf.ecx &= ~bits;
  if (here(CpuidRegister::kEdx)) leaf.edx &= ~bits;
}

bool concerns(const HiddenFeature& hidden, const kvm_cpuid_entry2& leaf) noexcept {
  return hidden.leaf == leaf.function && (hidden.subleaf == kAnySubleaf || hidden.subleaf == leaf.index);
}

}  // namespace

std::span<const HiddenFeature> hidden_features() noexcept { return kHidden; }

void hide_features(std::span<kvm_cpuid_entry2> leaves) noexcept {
  for (kvm_cpuid_entry2& leaf : leaves) {
    for (const HiddenFeature& hidden : kHidden) {
      if (concerns(hidden, leaf)) clear(leaf, hidden.where, hidden.bits);
    }
  }
}

}  // namespace tintype
