// SPDX-License-Identifier: Apache-2.0
#include "vmm/boot/pvh.h"

#include <algorithm>

#include "vmm/base/error.h"
#include "vmm/boot/command_line.h"
#include "vmm/boot/info_block.h"
#include "vmm/boot/initrd.h"
#include "vmm/boot/pvh_spec.h"

namespace tintype {

namespace {

void describe_memory(std::uint64_t memory_size, InfoBlock& block, pvh::StartInfo& info) {
  std::vector<pvh::MapEntry> entries;
  for (const MemoryMapEntry& entry : memory_map(memory_size)) {
    entries.push_back({entry.start, entry.size, static_cast<std::uint32_t>(entry.kind), 0});
  }
  info.memory_map = block.append_bytes(std::as_bytes(std::span(entries)));
  info.memory_map_entries = static_cast<std::uint32_t>(entries.size());
}

void describe_initrd(const BootRequest& request, Placement& placement, InfoBlock& block, pvh::StartInfo& info) {
  if (request.initrd.empty()) return;
  const ImageFile initrd(request.initrd, "initrd");
  // At the top, out of the way of a kernel that takes the memory behind itself.
  const auto place =
      placement.highest_free(initrd.size(), kHighMemoryStart, std::min(placement.memory_size(), kHoleStart));
  const pvh::Module module{load_initrd(initrd, place, placement), initrd.size(), 0, 0};
  info.modules = block.append(module);
  info.module_count = 1;
}

}  // namespace

EntryState boot_pvh(const ElfFile& elf, const ImageFile& file, const BootRequest& request, Placement& placement) {
  placement.reserve({kGdtArea, kBootInfoArea, kCommandLineArea});
  load_elf(elf, file, placement);
  if (physical_entry(elf, *elf.pvh_entry, file) != *elf.pvh_entry) {
    throw Error("the PVH note of {} gives a virtual address: it must be a physical one", file.path());
  }
  InfoBlock block;
  pvh::StartInfo info{};
  info.magic = pvh::kStartMagic;
  info.version = 1;
  block.append(info);
  describe_memory(placement.memory_size(), block, info);
  describe_initrd(request, placement, block, info);
  const std::string line = with_virtio_slots(request.append, request.slots);
  info.command_line = place_command_line(line, command_line_limit(), placement);
  info.rsdp = kAcpiArea.start;
  block.replace_first(info);
  placement.put(kBootInfoArea, block.bytes());
  EntryState entry = protected_mode_entry(*elf.pvh_entry, kGdtArea.start);
  entry.rbx = kBootInfoArea.start;
  return entry;
}

}  // namespace tintype
