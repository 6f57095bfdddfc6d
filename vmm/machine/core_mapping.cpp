// SPDX-License-Identifier: Apache-2.0
#include "vmm/machine/core_mapping.h"

#include <algorithm>
#include <optional>

#include "vmm/machine/paging_bits.h"
#include "vmm/machine/vmcoreinfo.h"

namespace tintype {

using namespace paging;

namespace {

constexpr std::uint64_t kUpperHalf = 1ULL << 63;

const kvm_sregs& mapping_cpu(std::span<const kvm_sregs> cpus) {
  const auto in_kernel =
      std::ranges::find_if(cpus, [](const kvm_sregs& cpu) { return cpu.ss.dpl == 0 && (cpu.cr0 & kCr0Paging) != 0; });
  return in_kernel == cpus.end() ? cpus.front() : *in_kernel;
}

/// The table from which a Linux makes those of each process.
std::optional<std::uint64_t> kernel_table(std::string_view vmcoreinfo) {
  for (const std::string_view key : {"SYMBOL(init_top_pgt)", "SYMBOL(swapper_pg_dir)"}) {
    const std::uint64_t address = vmcoreinfo_hex(vmcoreinfo, key);
    if (address >= kLinuxMap) return address + linux_shift(vmcoreinfo);
  }
  return std::nullopt;
}

/// The CPU as it would be with that table; levels of tables are as many as it has.
kvm_sregs with_table(kvm_sregs cpu, std::uint64_t table) {
  cpu.cr3 = table;
  cpu.cr0 |= kCr0Paging;
  cpu.cr4 |= kCr4Pae;
  cpu.efer |= kEferLongModeActive;
  return cpu;
}

bool is_upper(const MappedRun& run) { return run.linear >= kUpperHalf; }

}  // namespace

CoreMapping core_mapping(const ReadPhysical& memory, std::span<const kvm_sregs> cpus, std::string_view vmcoreinfo) {
  const kvm_sregs& cpu = mapping_cpu(cpus);
  CoreMapping mapping{(cpu.cr0 & kCr0Paging) != 0, mapped_runs(memory, cpu)};
  const auto table = kernel_table(vmcoreinfo);
  if (!table) return mapping;
  MappedRuns own = mapped_runs(memory, with_table(cpu, *table));
  std::erase_if(own.runs, [](const MappedRun& run) { return !is_upper(run); });
  if (own.runs.empty()) return mapping;  // what it says is not so
  MappedRuns& all = mapping.mapped;
  std::erase_if(all.runs, is_upper);
  all.runs.insert(all.runs.end(), own.runs.begin(), own.runs.end());
  all.whole = all.whole && own.whole;
  mapping.paging = true;
  return mapping;
}

}  // namespace tintype
