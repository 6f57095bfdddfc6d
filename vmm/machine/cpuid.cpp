// SPDX-License-Identifier: Apache-2.0
#include "vmm/machine/cpuid.h"

#include <algorithm>
#include <bit>

#include "vmm/machine/hidden_features.h"

namespace tintype {

namespace {

constexpr std::uint32_t kHypervisorLeaf = 0x40000000;
constexpr std::uint32_t kTimingLeaf =
    0x40000010;  // as VMware defined it, and KVM and QEMU have it: EAX TSC kHz, EBX APIC bus kHz
constexpr std::uint32_t kApicBusKhz = 1'000'000;  // KVM's APIC timer counts nanoseconds

constexpr std::uint32_t kEcxX2apic = 1U << 21, kEcxTscDeadline = 1U << 24, kEcxHypervisor = 1U << 31;
constexpr std::uint32_t kLevelSmt = 1, kLevelCore = 2;

void set_bits(std::uint32_t& word, unsigned shift, unsigned width, std::uint32_t value) {
  const std::uint32_t mask = ((1U << width) - 1) << shift;
  word = (word & ~mask) | (value << shift & mask);
}

/// One socket: the APIC ID is the core's number.
class Topology {
 public:
  Topology(unsigned cpu, unsigned cpus, bool deadline) : cpu_(cpu), cpus_(cpus), deadline_(deadline) {}

  void apply(kvm_cpuid_entry2& leaf) const {
    switch (leaf.function) {
      case 0x1:
        basic(leaf);
        break;
      case 0x4:
        intel_cache(leaf);
        break;
      case 0xb:
      case 0x1f:
        levels(leaf);
        break;
      case 0x80000001:
        set_bits(leaf.ecx, 1, 1, cpus_ > 1 ? 1 : 0);
        break;  // CmpLegacy
      case 0x80000008:
        amd_sizes(leaf);
        break;
      case 0x8000001d:
        amd_cache(leaf);
        break;
      case 0x8000001e:
        leaf.eax = cpu_, leaf.ebx = cpu_, leaf.ecx = 0;
        break;
      default:
        break;
    }
  }

 private:
  void basic(kvm_cpuid_entry2& leaf) const {
    set_bits(leaf.ebx, 24, 8, cpu_);
    set_bits(leaf.ebx, 16, 8, cpus_);
    set_bits(leaf.edx, 28, 1, cpus_ > 1 ? 1 : 0);
    leaf.ecx |= kEcxHypervisor | kEcxX2apic | (deadline_ ? kEcxTscDeadline : 0);
  }
  void intel_cache(kvm_cpuid_entry2& leaf) const {
    if ((leaf.eax & 0x1f) == 0) return;  // the list of caches ends here
    set_bits(leaf.eax, 26, 6, std::bit_ceil(cpus_) - 1);
    set_bits(leaf.eax, 14, 12, sharing(leaf));
  }
  void amd_cache(kvm_cpuid_entry2& leaf) const {
    if ((leaf.eax & 0x1f) != 0) set_bits(leaf.eax, 14, 12, sharing(leaf));
  }
  /// Number of further CPUs that share a cache: all of the socket share level 3, nobody shares the others.
  std::uint32_t sharing(const kvm_cpuid_entry2& leaf) const { return (leaf.eax >> 5 & 7) == 3 ? cpus_ - 1 : 0; }
  void levels(kvm_cpuid_entry2& leaf) const {
    leaf.edx = cpu_;
    leaf.eax = leaf.ebx = 0;
    leaf.ecx = leaf.index;
    if (leaf.index == 0) leaf.ebx = 1, leaf.ecx |= kLevelSmt << 8;
    if (leaf.index == 1) leaf.eax = core_bits(), leaf.ebx = cpus_, leaf.ecx |= kLevelCore << 8;
  }
  void amd_sizes(kvm_cpuid_entry2& leaf) const {
    set_bits(leaf.ecx, 0, 8, cpus_ - 1);
    set_bits(leaf.ecx, 12, 4, core_bits());
  }
  std::uint32_t core_bits() const { return static_cast<std::uint32_t>(std::bit_width(cpus_ - 1)); }

  unsigned cpu_, cpus_;
  bool deadline_;
};

kvm_cpuid_entry2* find(std::vector<kvm_cpuid_entry2>& leaves, std::uint32_t function, std::uint32_t index) {
  const auto leaf = std::find_if(leaves.begin(), leaves.end(),
                                 [&](const auto& e) { return e.function == function && e.index == index; });
  return leaf == leaves.end() ? nullptr : &*leaf;
}

/// Leaf 0xb with both of its levels, also where KVM lists only the first.
void complete_levels(std::vector<kvm_cpuid_entry2>& leaves) {
  if (find(leaves, 0xb, 0) == nullptr) return;
  for (std::uint32_t level = 1; level <= 2; ++level) {
    if (find(leaves, 0xb, level) != nullptr) continue;
    kvm_cpuid_entry2 entry{};
    entry.function = 0xb;
    entry.index = level;
    entry.flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX;
    leaves.push_back(entry);
  }
}

void add_timing(std::vector<kvm_cpuid_entry2>& leaves, std::uint32_t tsc_khz) {
  kvm_cpuid_entry2* hypervisor = find(leaves, kHypervisorLeaf, 0);
  if (hypervisor == nullptr || tsc_khz == 0 || find(leaves, kTimingLeaf, 0) != nullptr) return;
  hypervisor->eax = std::max(hypervisor->eax, kTimingLeaf);
  kvm_cpuid_entry2 timing{};
  timing.function = kTimingLeaf;
  timing.eax = tsc_khz;
  timing.ebx = kApicBusKhz;
  leaves.push_back(timing);
}

}  // namespace

std::vector<kvm_cpuid_entry2> guest_cpuid(std::span<const kvm_cpuid_entry2> supported, unsigned cpu, unsigned cpus,
                                          std::uint32_t tsc_khz, bool tsc_deadline_timer) {
  std::vector<kvm_cpuid_entry2> leaves(supported.begin(), supported.end());
  hide_features(leaves);
  complete_levels(leaves);
  const Topology topology(cpu, cpus, tsc_deadline_timer);
  for (kvm_cpuid_entry2& leaf : leaves) topology.apply(leaf);
  add_timing(leaves, tsc_khz);
  return leaves;
}

}  // namespace tintype
