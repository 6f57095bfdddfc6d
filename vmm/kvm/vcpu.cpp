// SPDX-License-Identifier: Apache-2.0
#include "vmm/kvm/vcpu.h"

#include <sys/ioctl.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>

#include "vmm/base/error.h"
#include "vmm/kvm/ioctl.h"
#include "vmm/kvm/lists.h"

namespace tintype {

namespace {

constexpr std::size_t kLegacyXsaveSize = sizeof(KvmXsaveHead);  // before AMX made the area grow

template <typename T>
T get(int fd, unsigned long request, std::string_view name) {
  T value{};
  kvm_ioctl(fd, request, &value, name);
  return value;
}

template <typename T>
void set(int fd, unsigned long request, const T& value, std::string_view name) {
  T copy = value;
  kvm_ioctl(fd, request, &copy, name);
}

kvm_device_attr tsc_offset_at(const std::uint64_t& offset) noexcept {
  return {0, KVM_VCPU_TSC_CTRL, KVM_VCPU_TSC_OFFSET, reinterpret_cast<std::uintptr_t>(&offset)};
}

}  // namespace

KvmVcpu::KvmVcpu(const KvmSystem& system, KvmVm& vm, unsigned id)
    : id_(id),
      fd_(vm.create_vcpu(id)),
      statistics_(UniqueFd(::ioctl(fd_.get(), KVM_GET_STATS_FD, nullptr))),
      shared_(Mapping::of_fd(fd_.get(), system.vcpu_mmap_size())) {
  const int size = vm.extension(KVM_CAP_XSAVE2);
  has_xsave2_ = size > 0;
  xsave_size_ = std::max(kLegacyXsaveSize, static_cast<std::size_t>(std::max(size, 0)));
}

KvmVcpu::Claim::Claim(KvmVcpu& vcpu) noexcept : vcpu_(vcpu) {
  check(vcpu_.owner_.exchange(std::this_thread::get_id()) == std::thread::id(), "one thread at a time claims a vCPU");
}

KvmVcpu::Claim::~Claim() { vcpu_.owner_ = std::thread::id(); }

bool KvmVcpu::is_claimed() const noexcept {
  const std::thread::id owner = owner_.load();
  return owner != std::thread::id() && owner != std::this_thread::get_id();
}

int KvmVcpu::fd() const noexcept {
  check(!is_claimed(), "no thread calls into a vCPU that another one runs: the call would wait for the guest");
  return fd_.get();
}

KvmVcpu::RunResult KvmVcpu::run() {
  if (::ioctl(fd(), KVM_RUN, 0) == 0) return RunResult::kExit;
  if (errno == EINTR || errno == EAGAIN) return RunResult::kInterrupted;
  throw_errno("KVM_RUN of vCPU {}", id_);
}

KvmVcpu::RunResult KvmVcpu::run(const sigset_t& blocked) {
  // The kernel's set is shorter than the C library's, and begins like it.
  struct {
    KvmSignalMaskHead head{8};
    std::array<std::uint8_t, 8> set{};
  } mask;
  std::memcpy(mask.set.data(), &blocked, mask.set.size());
  kvm_ioctl(fd(), kKvmSetSignalMask, &mask, "KVM_SET_SIGNAL_MASK");
  const RunResult result = run();
  kvm_ioctl(fd(), kKvmSetSignalMask, nullptr, "KVM_SET_SIGNAL_MASK");
  return result;
}

void KvmVcpu::set_immediate_exit(bool on) noexcept {
  __atomic_store_n(&shared().immediate_exit, static_cast<__u8>(on), __ATOMIC_SEQ_CST);
}

bool KvmVcpu::immediate_exit() noexcept { return __atomic_load_n(&shared().immediate_exit, __ATOMIC_SEQ_CST) != 0; }

kvm_regs KvmVcpu::regs() const { return get<kvm_regs>(fd(), KVM_GET_REGS, "KVM_GET_REGS"); }
void KvmVcpu::set_regs(const kvm_regs& regs) { set(fd(), KVM_SET_REGS, regs, "KVM_SET_REGS"); }
kvm_sregs KvmVcpu::sregs() const { return get<kvm_sregs>(fd(), KVM_GET_SREGS, "KVM_GET_SREGS"); }
void KvmVcpu::set_sregs(const kvm_sregs& sregs) { set(fd(), KVM_SET_SREGS, sregs, "KVM_SET_SREGS"); }
kvm_lapic_state KvmVcpu::lapic() const { return get<kvm_lapic_state>(fd(), KVM_GET_LAPIC, "KVM_GET_LAPIC"); }
void KvmVcpu::set_lapic(const kvm_lapic_state& lapic) { set(fd(), KVM_SET_LAPIC, lapic, "KVM_SET_LAPIC"); }
kvm_mp_state KvmVcpu::mp_state() const { return get<kvm_mp_state>(fd(), KVM_GET_MP_STATE, "KVM_GET_MP_STATE"); }
void KvmVcpu::set_mp_state(const kvm_mp_state& state) { set(fd(), KVM_SET_MP_STATE, state, "KVM_SET_MP_STATE"); }
kvm_vcpu_events KvmVcpu::events() const {
  return get<kvm_vcpu_events>(fd(), KVM_GET_VCPU_EVENTS, "KVM_GET_VCPU_EVENTS");
}
void KvmVcpu::set_events(const kvm_vcpu_events& events) {
  set(fd(), KVM_SET_VCPU_EVENTS, events, "KVM_SET_VCPU_EVENTS");
}
kvm_debugregs KvmVcpu::debug_registers() const {
  return get<kvm_debugregs>(fd(), KVM_GET_DEBUGREGS, "KVM_GET_DEBUGREGS");
}
void KvmVcpu::set_debug_registers(const kvm_debugregs& registers) {
  set(fd(), KVM_SET_DEBUGREGS, registers, "KVM_SET_DEBUGREGS");
}
kvm_xcrs KvmVcpu::xcrs() const { return get<kvm_xcrs>(fd(), KVM_GET_XCRS, "KVM_GET_XCRS"); }
void KvmVcpu::set_xcrs(const kvm_xcrs& xcrs) { set(fd(), KVM_SET_XCRS, xcrs, "KVM_SET_XCRS"); }

std::vector<std::uint8_t> KvmVcpu::xsave() const {
  std::vector<std::uint8_t> area(xsave_size_);
  kvm_ioctl(fd(), has_xsave2_ ? kKvmGetXsave2 : kKvmGetXsave, area.data(), "KVM_GET_XSAVE");
  return area;
}

void KvmVcpu::set_xsave(std::span<const std::uint8_t> area) {
  std::vector<std::uint8_t> copy(xsave_size_);
  std::copy_n(area.begin(), std::min(area.size(), copy.size()), copy.begin());
  kvm_ioctl(fd(), kKvmSetXsave, copy.data(), "KVM_SET_XSAVE");
}

void KvmVcpu::set_guest_debug(const kvm_guest_debug& debug) {
  set(fd(), KVM_SET_GUEST_DEBUG, debug, "KVM_SET_GUEST_DEBUG");
}

std::vector<kvm_cpuid_entry2> KvmVcpu::cpuid() const {
  constexpr std::uint32_t kRoom = 256;  // KVM_MAX_CPUID_ENTRIES
  KvmCpuidList list(kRoom);
  list.head().nent = kRoom;
  kvm_ioctl(fd(), kKvmGetCpuid2, &list.head(), "KVM_GET_CPUID2");
  const auto entries = list.entries().first(list.head().nent);
  return {entries.begin(), entries.end()};
}

void KvmVcpu::set_cpuid(std::span<const kvm_cpuid_entry2> entries) {
  KvmCpuidList list(entries.size());
  list.head().nent = static_cast<std::uint32_t>(entries.size());
  std::copy(entries.begin(), entries.end(), list.entries().begin());
  kvm_ioctl(fd(), kKvmSetCpuid2, &list.head(), "KVM_SET_CPUID2");
}

std::uint32_t KvmVcpu::tsc_khz() const {
  return static_cast<std::uint32_t>(kvm_ioctl(fd(), KVM_GET_TSC_KHZ, 0UL, "KVM_GET_TSC_KHZ"));
}

// KVM notes the speed before it finds that it cannot have it, and would count deadlines by it.
bool KvmVcpu::set_tsc_khz(std::uint32_t khz) {
  const unsigned long before = tsc_khz();
  try {
    kvm_ioctl(fd(), KVM_SET_TSC_KHZ, static_cast<unsigned long>(khz), "KVM_SET_TSC_KHZ");
    return true;
  } catch (const std::system_error& error) {
    if (error.code().value() != EINVAL) throw;
  }
  kvm_ioctl(fd(), KVM_SET_TSC_KHZ, before, "KVM_SET_TSC_KHZ");
  return false;
}

std::optional<std::uint64_t> KvmVcpu::tsc_offset() const {
  std::uint64_t offset = 0;
  const kvm_device_attr attribute = tsc_offset_at(offset);
  if (::ioctl(fd(), KVM_GET_DEVICE_ATTR, &attribute) != 0) return std::nullopt;
  return offset;
}

bool KvmVcpu::set_tsc_offset(std::uint64_t offset) {
  const kvm_device_attr attribute = tsc_offset_at(offset);
  return ::ioctl(fd(), KVM_SET_DEVICE_ATTR, &attribute) == 0 && tsc_offset() == offset;
}

std::vector<kvm_msr_entry> KvmVcpu::msrs(std::span<const std::uint32_t> indices) const {
  // KVM_GET_MSRS stops at the first MSR that it refuses and returns how many it has read: step over that one and go on.
  std::vector<kvm_msr_entry> values;
  while (!indices.empty()) {
    KvmMsrs list(indices.size());
    list.head().nmsrs = static_cast<std::uint32_t>(indices.size());
    for (std::size_t i = 0; i < indices.size(); ++i) list.entries()[i].index = indices[i];
    const auto count = static_cast<std::size_t>(kvm_ioctl(fd(), kKvmGetMsrs, &list.head(), "KVM_GET_MSRS"));
    const auto read = list.entries().first(count);
    values.insert(values.end(), read.begin(), read.end());
    indices = indices.subspan(std::min(count + 1, indices.size()));
  }
  return values;
}

std::optional<std::uint32_t> KvmVcpu::set_msrs(std::span<const kvm_msr_entry> entries) {
  if (entries.empty()) return std::nullopt;
  KvmMsrs list(entries.size());
  list.head().nmsrs = static_cast<std::uint32_t>(entries.size());
  std::copy(entries.begin(), entries.end(), list.entries().begin());
  const auto count = static_cast<std::size_t>(kvm_ioctl(fd(), kKvmSetMsrs, &list.head(), "KVM_SET_MSRS"));
  return count < entries.size() ? std::optional(entries[count].index) : std::nullopt;
}

std::optional<std::uint64_t> KvmVcpu::msr(std::uint32_t index) const {
  const auto values = msrs(std::span(&index, 1));
  return values.empty() ? std::nullopt : std::optional<std::uint64_t>(values.front().data);
}

void KvmVcpu::announce_pause() {
  ::ioctl(fd(), KVM_KVMCLOCK_CTRL, 0);  // EINVAL: the guest does not use kvmclock
}

}  // namespace tintype
