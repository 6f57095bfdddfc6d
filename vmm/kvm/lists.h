// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <linux/kvm.h>

#include <cstdint>
#include <span>
#include <vector>

namespace tintype {

// KVM structures that end in an array of unknown length. <linux/kvm.h> declares such arrays with an empty struct beside
// them, which has no size in C but one byte in C++: sizes, offsets and the request numbers that encode them come out
// wrong. So the heads are declared here.

struct KvmCpuidHead {
  std::uint32_t nent, padding;
};
struct KvmMsrsHead {
  std::uint32_t nmsrs, pad;
};
struct KvmMsrListHead {
  std::uint32_t nmsrs;
};
struct KvmRoutingHead {
  std::uint32_t nr, flags;
};
struct KvmSignalMaskHead {
  std::uint32_t len;
};
/// What every XSAVE area has; a larger one (KVM_CAP_XSAVE2) goes on behind it.
struct KvmXsaveHead {
  std::uint32_t region[1024];
};

inline constexpr unsigned long kKvmGetSupportedCpuid = _IOWR(KVMIO, 0x05, KvmCpuidHead);
inline constexpr unsigned long kKvmGetMsrIndexList = _IOWR(KVMIO, 0x02, KvmMsrListHead);
inline constexpr unsigned long kKvmGetMsrs = _IOWR(KVMIO, 0x88, KvmMsrsHead);
inline constexpr unsigned long kKvmSetMsrs = _IOW(KVMIO, 0x89, KvmMsrsHead);
inline constexpr unsigned long kKvmSetCpuid2 = _IOW(KVMIO, 0x90, KvmCpuidHead);
inline constexpr unsigned long kKvmGetCpuid2 = _IOWR(KVMIO, 0x91, KvmCpuidHead);
inline constexpr unsigned long kKvmSetSignalMask = _IOW(KVMIO, 0x8b, KvmSignalMaskHead);
inline constexpr unsigned long kKvmGetXsave = _IOR(KVMIO, 0xa4, KvmXsaveHead);
inline constexpr unsigned long kKvmSetXsave = _IOW(KVMIO, 0xa5, KvmXsaveHead);
inline constexpr unsigned long kKvmGetXsave2 = _IOR(KVMIO, 0xcf, KvmXsaveHead);
inline constexpr unsigned long kKvmSetGsiRouting = _IOW(KVMIO, 0x6a, KvmRoutingHead);

/// A head and room for `count` entries behind it, in one aligned block, all zero.
template <typename Head, typename Entry>
class KvmList {
 public:
  explicit KvmList(std::size_t count)
      : count_(count), storage_((sizeof(Head) + count * sizeof(Entry)) / sizeof(std::uint64_t) + 1) {}
  Head& head() noexcept { return *reinterpret_cast<Head*>(storage_.data()); }
  std::span<Entry> entries() noexcept { return {reinterpret_cast<Entry*>(&head() + 1), count_}; }

 private:
  std::size_t count_;
  std::vector<std::uint64_t> storage_;
};

using KvmCpuidList = KvmList<KvmCpuidHead, kvm_cpuid_entry2>;
using KvmMsrs = KvmList<KvmMsrsHead, kvm_msr_entry>;
using KvmRouting = KvmList<KvmRoutingHead, kvm_irq_routing_entry>;
using KvmMsrIndexList = KvmList<KvmMsrListHead, std::uint32_t>;

static_assert(sizeof(kvm_cpuid_entry2) == 40 && sizeof(kvm_msr_entry) == 16 && sizeof(kvm_irq_routing_entry) == 48);

}  // namespace tintype
