// SPDX-License-Identifier: Apache-2.0
#include "vmm/kvm/vcpu_statistics.h"

#include <unistd.h>

#include <linux/kvm.h>

#include <cstring>
#include <string_view>
#include <vector>

#include "vmm/kvm/capabilities.h"

namespace tintype {

namespace {

constexpr std::uint32_t kLongestName = 4096, kMostStatistics = 4096;

bool read_at(int fd, void* into, std::size_t bytes, std::uint64_t offset) noexcept {
  return ::pread(fd, into, bytes, static_cast<off_t>(offset)) == static_cast<ssize_t>(bytes);
}

/// A KVM without hardware virtualization has the same numbers, and leaves these at 0 for ever.
bool counts_what_it_lists() {
  static const bool counts = has_hardware_virtualization();
  return counts;
}

}  // namespace

// A header says where descriptions and numbers lie; a description has its name behind it.
VcpuStatistics::VcpuStatistics(UniqueFd fd) : fd_(std::move(fd)) {
  kvm_stats_header header{};
  if (!fd_ || !counts_what_it_lists() || !read_at(fd_.get(), &header, sizeof header, 0)) return;
  if (header.name_size > kLongestName || header.num_desc > kMostStatistics) return;
  const std::size_t each = sizeof(kvm_stats_desc) + header.name_size;
  std::vector<char> descriptions(header.num_desc * each + 1);  // ends with a zero
  if (!read_at(fd_.get(), descriptions.data(), header.num_desc * each, header.desc_offset)) return;
  for (std::uint32_t i = 0; i < header.num_desc; ++i) {
    const char* const at = descriptions.data() + i * each;
    kvm_stats_desc what{};
    std::memcpy(&what, at, sizeof what);
    const std::string_view name = at + sizeof what;
    if (name == "irq_injections") interrupts_at_ = header.data_offset + what.offset;
    if (name == "pf_fixed") page_faults_at_ = header.data_offset + what.offset;
  }
}

std::optional<std::uint64_t> VcpuStatistics::value_at(std::optional<std::uint64_t> place) const noexcept {
  std::uint64_t count = 0;
  if (!place || !read_at(fd_.get(), &count, sizeof count, *place)) return std::nullopt;
  return count;
}

}  // namespace tintype
