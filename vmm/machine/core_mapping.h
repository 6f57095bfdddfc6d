// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string_view>

#include "vmm/machine/mapped_runs.h"

namespace tintype {

/// What a core file has at linear addresses.
struct CoreMapping {
  bool paging = false;  ///< without it linear addresses are physical ones
  MappedRuns mapped;
};

/// What the page tables of these CPUs (at least one) map: those of one that is in its kernel, whose tables have all of
/// it; else those of the first. With page-table isolation a program's tables lack the kernel: of a Linux, which says in
/// `vmcoreinfo` (vmcoreinfo.h; may be empty) where its own are, its half of the addresses is as those have it.
CoreMapping core_mapping(const ReadPhysical& memory, std::span<const kvm_sregs> cpus, std::string_view vmcoreinfo);

}  // namespace tintype
