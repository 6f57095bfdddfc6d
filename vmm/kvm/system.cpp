// SPDX-License-Identifier: Apache-2.0
#include "vmm/kvm/system.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "vmm/base/error.h"
#include "vmm/kvm/ioctl.h"
#include "vmm/kvm/lists.h"

namespace tintype {

namespace {

UniqueFd open_kvm() {
  UniqueFd fd(::open("/dev/kvm", O_RDWR | O_CLOEXEC));
  if (fd) return fd;
  if (errno == ENOENT)
    throw Error(
        "there is no /dev/kvm: turn on virtualization in the firmware and load kvm-intel or kvm-amd (`tintype doctor` "
        "tells more)");
  if (errno == EACCES)
    throw Error("no permission to open /dev/kvm: add yourself to the group kvm and log in again, or run as root");
  throw Error("/dev/kvm cannot be opened ({}): `tintype doctor` tells more", errno_text(errno));
}

/// Calls an ioctl that fills a list of unknown length: gives it more room until it is satisfied.
template <typename List, typename Head>
auto growing_list(int fd, unsigned long request, std::uint32_t Head::*count, std::string_view name) {
  for (std::uint32_t room = 128; room <= 65536; room *= 2) {
    List list(room);
    list.head().*count = room;
    try {
      kvm_ioctl(fd, request, &list.head(), name);
    } catch (const std::system_error& error) {
      if (error.code().value() == E2BIG) continue;
      throw;
    }
    const auto entries = list.entries().first(list.head().*count);
    return std::vector(entries.begin(), entries.end());
  }
  throw Error("{} returns more than 65536 entries", name);
}

/// What every KVM keeps for a guest though its list does not have it: memory types (8 variable ranges, as MTRRCAP says,
/// 11 fixed ones, the default) and machine-check banks (Intel SDM volume 3, 11.11 and 15.3.2).
std::vector<std::uint32_t> unlisted_msrs() {
  constexpr std::uint32_t kVariableRanges = 0x200, kVariableRangeMsrs = 2 * 8;
  constexpr std::uint32_t kBanks = 0x400, kBankMsrs = 4 * 32;  // KVM_MAX_MCE_BANKS, which MCG_CAP says of a new vCPU
  std::vector<std::uint32_t> indices = {0x250, 0x258, 0x259, 0x268, 0x269, 0x26a,
                                        0x26b, 0x26c, 0x26d, 0x26e, 0x26f, 0x2ff};
  for (std::uint32_t i = 0; i < kVariableRangeMsrs; ++i) indices.push_back(kVariableRanges + i);
  for (std::uint32_t i = 0; i < kBankMsrs; ++i) indices.push_back(kBanks + i);
  return indices;
}

}  // namespace

KvmSystem::KvmSystem() : fd_(open_kvm()) {
  const int version = kvm_ioctl(fd(), KVM_GET_API_VERSION, 0UL, "KVM_GET_API_VERSION");
  if (version != KVM_API_VERSION)
    throw Error("KVM's API version is {}, not {}: this kernel is too old", version, KVM_API_VERSION);
}

int KvmSystem::extension(int capability) const {
  return kvm_ioctl(fd(), KVM_CHECK_EXTENSION, static_cast<unsigned long>(capability), "KVM_CHECK_EXTENSION");
}

std::size_t KvmSystem::vcpu_mmap_size() const {
  return static_cast<std::size_t>(kvm_ioctl(fd(), KVM_GET_VCPU_MMAP_SIZE, 0UL, "KVM_GET_VCPU_MMAP_SIZE"));
}

std::vector<kvm_cpuid_entry2> KvmSystem::supported_cpuid() const {
  return growing_list<KvmCpuidList>(fd(), kKvmGetSupportedCpuid, &KvmCpuidHead::nent, "KVM_GET_SUPPORTED_CPUID");
}

std::vector<std::uint32_t> KvmSystem::msr_indices() const {
  auto indices =
      growing_list<KvmMsrIndexList>(fd(), kKvmGetMsrIndexList, &KvmMsrListHead::nmsrs, "KVM_GET_MSR_INDEX_LIST");
  for (const std::uint32_t index : unlisted_msrs()) {
    if (std::find(indices.begin(), indices.end(), index) == indices.end()) indices.push_back(index);
  }
  return indices;
}

UniqueFd KvmSystem::create_vm() const { return UniqueFd(kvm_ioctl(fd(), KVM_CREATE_VM, 0UL, "KVM_CREATE_VM")); }

}  // namespace tintype
