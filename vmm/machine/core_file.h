// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "checkpoint/store/checkpoint_reader.h"
#include "checkpoint/store/export.h"
#include "vmm/base/progress.h"

namespace tintype {

struct CoreFile {
  ExportedFile file;
  std::size_t cpus = 0;
  std::size_t mapped_runs = 0;  ///< segments at linear addresses
  bool all_mapped = true;       ///< false: the page tables map more than a core file has room for
  std::string linux_release;    ///< of the kernel whose VMCOREINFO was found; empty: there was none
};

/// The machine in a checkpoint as an ELF64 core file, which gdb, crash and drgn read. Memory is in it once; segments
/// refer to it by physical addresses, and by the linear addresses at which a CPU's page tables map it. For each CPU, in
/// their order, a NT_PRSTATUS and what QEMU's dumps have. Throws tintype::Error, ImageError, StateError.
CoreFile export_core(const CheckpointReader& checkpoint, const std::filesystem::path& file,
                     const ProgressSink& progress = {});

}  // namespace tintype
