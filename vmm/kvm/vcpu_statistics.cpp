// SPDX-License-Identifier: Apache-2.0
#include "vmm/kvm/vcpu_statistics.h"

#include <unistd.h>

#include <linux/kvm.h>

#include <cstring>
#include <vector>

namespace tintype {

namespace {

bool read_at(int fd, void* into, std::size_t bytes, std::uint64_t offset) noexcept {
  return ::pread(fd, into, bytes, static_cast<off_t>(offset)) == static_cast<ssize_t>(bytes);
}

}  // namespace

VcpuStatistics::VcpuStatistics(UniqueFd fd) : fd_(std::move(fd)) {
  if (!fd_) return;
  interrupts_at_ = find("irq_injections");
  page_faults_at_ = find("pf_fixed");
}

// A header says where descriptions and numbers lie; a description has its name behind it.
std::optional<std::uint64_t> VcpuStatistics::find(const char* name) const {
  kvm_stats_header header{};
  if (!read_at(fd_.get(), &header, sizeof header, 0) || header.name_size > 4096) return std::nullopt;
  const std::size_t each = sizeof(kvm_stats_desc) + header.name_size;
  std::vector<char> description(each + 1);
  for (std::uint32_t i = 0; i < header.num_desc; ++i) {
    if (!read_at(fd_.get(), description.data(), each, header.desc_offset + i * each)) return std::nullopt;
    kvm_stats_desc what{};
    std::memcpy(&what, description.data(), sizeof what);
    if (std::strcmp(description.data() + sizeof what, name) == 0) return header.data_offset + what.offset;
  }
  return std::nullopt;
}

std::uint64_t VcpuStatistics::value_at(std::optional<std::uint64_t> place) const noexcept {
  std::uint64_t count = 0;
  return place && read_at(fd_.get(), &count, sizeof count, *place) ? count : 0;
}

}  // namespace tintype
