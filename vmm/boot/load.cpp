// SPDX-License-Identifier: Apache-2.0
#include "vmm/boot/load.h"

#include <algorithm>

#include "vmm/base/error.h"
#include "vmm/boot/bzimage.h"
#include "vmm/boot/elf.h"
#include "vmm/boot/firmware.h"
#include "vmm/boot/flat.h"
#include "vmm/boot/multiboot.h"
#include "vmm/boot/pvh.h"
#include "vmm/boot/vmlinux.h"

namespace tintype {

namespace {

struct Loaded {
  ImageKind kind;
  EntryState entry;
};

std::vector<std::byte> beginning_of(const ImageFile& file) {
  std::vector<std::byte> bytes(std::min<std::uint64_t>(file.size(), kSignatureBytes));
  file.read(0, bytes);
  return bytes;
}

/// PVH is preferred to multiboot where an ELF file offers both: it says more (64-bit addresses, ACPI).
Loaded boot_elf(const ImageFile& file, std::span<const std::byte> beginning, const BootRequest& request,
                Placement& placement) {
  const ElfFile elf = parse_elf(file);
  if (elf.pvh_entry) return {ImageKind::kPvhElf, boot_pvh(elf, file, request, placement)};
  if (const auto header = find_multiboot_header(beginning)) {
    return {ImageKind::kMultiboot, boot_multiboot(*header, &elf, file, request, placement)};
  }
  if (is_vmlinux(elf)) return {ImageKind::kLinuxElf, boot_vmlinux(elf, file, request, placement)};
  throw Error(
      "{} has neither a PVH note nor a multiboot header and is no 64-bit Linux, so nothing says how to enter "
      "it: build it with one of "
      "them",
      file.path());
}

Loaded boot_any(const ImageFile& file, const BootRequest& request, Placement& placement) {
  const std::vector<std::byte> beginning = beginning_of(file);
  switch (detect(file, beginning)) {
    case Signature::kElf:
      return boot_elf(file, beginning, request, placement);
    case Signature::kMultiboot:
      return {ImageKind::kMultiboot,
              boot_multiboot(*find_multiboot_header(beginning), nullptr, file, request, placement)};
    case Signature::kFlat:
      return {ImageKind::kFlat, boot_flat(file, request, placement)};
    case Signature::kBzImage:
      break;
  }
  return {ImageKind::kBzImage, boot_bzimage(file, request, placement)};
}

}  // namespace

BootPlan load_kernel(GuestMemory& memory, const BootRequest& request) {
  const ImageFile file(request.kernel, "kernel");
  Placement placement(memory);
  place_firmware(memory, request, placement);
  const Loaded loaded = boot_any(file, request, placement);
  if (loaded.entry.gdt_base != 0) placement.put(kGdtArea, bytes_of(descriptor_table(loaded.entry)));
  return {loaded.kind, loaded.entry, placement.take_parts()};
}

}  // namespace tintype
