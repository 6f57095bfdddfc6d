// SPDX-License-Identifier: Apache-2.0
#include "vmm/boot/multiboot.h"

#include <algorithm>
#include <cstring>

#include "vmm/base/error.h"
#include "vmm/base/overflow.h"
#include "vmm/boot/command_line.h"
#include "vmm/boot/info_block.h"
#include "vmm/boot/initrd.h"

namespace tintype {

namespace {

constexpr std::uint32_t kAddressFieldsEnd = sizeof(multiboot::Header);
constexpr std::uint32_t kShortHeaderEnd = 12;
constexpr std::uint32_t kKnownFlags = multiboot::kAlignModules | multiboot::kWantMemory | multiboot::kWantVideo;
constexpr std::uint32_t kMustKnow = 0xffff;

std::optional<multiboot::Header> header_at(std::span<const std::byte> beginning, std::size_t offset) noexcept {
  multiboot::Header header{};
  if (offset + kShortHeaderEnd > beginning.size()) return std::nullopt;
  std::memcpy(&header, &beginning[offset], std::min(beginning.size() - offset, sizeof header));
  if (header.magic != multiboot::kHeaderMagic || header.magic + header.flags + header.checksum != 0)
    return std::nullopt;
  const bool has_addresses = (header.flags & multiboot::kHasAddresses) != 0;
  if (has_addresses && offset + kAddressFieldsEnd > beginning.size()) return std::nullopt;
  return header;
}

/// The image as the header's address fields describe it ("a.out kludge"): one piece, then zeros.
LoadedPart part_by_addresses(const FoundMultibootHeader& found, const ImageFile& file) {
  const multiboot::Header& header = found.header;
  const std::uint64_t before_header = std::uint64_t{header.header_address} - header.load_address;
  if (header.header_address < header.load_address || before_header > found.offset) {
    throw Error(
        "the multiboot header of {} is damaged: it would be loaded from before the file's beginning; build "
        "it again",
        file.path());
  }
  LoadedPart part{.image = file.path(), .name = "image", .start = header.load_address, .size = 0};
  part.virtual_start = part.start;
  part.file_offset = found.offset - before_header;
  const std::uint64_t load_end = header.load_end != 0 ? header.load_end : part.start + (file.size() - part.file_offset);
  const std::uint64_t end = std::max<std::uint64_t>(load_end, header.bss_end);
  if (load_end <= part.start)
    throw Error("the multiboot header of {} is damaged: its load address is past its end; build it again", file.path());
  part.file_size = load_end - part.start;
  part.size = end - part.start;
  return part;
}

std::uint32_t load_by_addresses(const FoundMultibootHeader& found, const ImageFile& file, Placement& placement) {
  const LoadedPart part = part_by_addresses(found, file);
  placement.load(file, part);
  const std::uint32_t entry = found.header.entry;
  if (entry >= part.start && entry - part.start < part.size) return entry;
  throw Error("the entry point {:#x} of {} lies outside the image: check its multiboot header", entry, file.path());
}

std::uint32_t load_by_elf(const ElfFile& elf, const ImageFile& file, Placement& placement) {
  load_elf(elf, file, placement);
  const std::uint64_t entry = physical_entry(elf, elf.entry, file);
  if (entry > UINT32_MAX) throw Error("the entry point of {} is above 4 GiB: link it below 3 GiB", file.path());
  return static_cast<std::uint32_t>(entry);
}

void check_flags(const multiboot::Header& header, const ImageFile& file) {
  const std::uint32_t unknown = header.flags & kMustKnow & ~kKnownFlags;
  if (unknown != 0) {
    throw Error("{} asks for multiboot features that there are not (flags {:#x}): build it without them", file.path(),
                unknown);
  }
}

std::uint32_t address_of(std::uint64_t address) noexcept { return static_cast<std::uint32_t>(address); }

void describe_modules(const BootRequest& request, Placement& placement, InfoBlock& block,
                      multiboot::Information& info) {
  info.flags |= multiboot::kHasModules;
  if (request.initrd.empty()) return;
  const ImageFile initrd(request.initrd, "initrd");
  multiboot::Module module{};
  // After the kernel, because kernels expect it there that map only the memory around themselves.
  const auto place = placement.lowest_free(initrd.size(), kHighMemoryStart, kHoleStart);
  module.start = address_of(load_initrd(initrd, place, placement));
  module.end = address_of(module.start + initrd.size());
  module.name = address_of(block.append_text(initrd.name()));
  info.module_count = 1;
  info.modules = address_of(block.append(module));
}

void describe_memory(std::uint64_t memory_size, InfoBlock& block, multiboot::Information& info) {
  std::vector<multiboot::MapEntry> entries;
  for (const MemoryMapEntry& entry : memory_map(memory_size)) {
    entries.push_back({sizeof(multiboot::MapEntry) - sizeof(std::uint32_t), entry.start, entry.size,
                       static_cast<std::uint32_t>(entry.kind)});
  }
  info.flags |= multiboot::kHasMemory | multiboot::kHasMemoryMap;
  info.memory_lower = address_of(kConventionalEnd / 1024);
  info.memory_upper = address_of((std::min(memory_size, kHoleStart) - kHighMemoryStart) / 1024);
  info.memory_map = address_of(block.append_bytes(std::as_bytes(std::span(entries))));
  info.memory_map_length = address_of(std::span(entries).size_bytes());
}

/// As GRUB's first generation and QEMU do, the line begins with the kernel's own name, as argv[0].
std::string full_command_line(const ImageFile& file, const BootRequest& request) {
  return with_virtio_slots(request.append.empty() ? file.name() : file.name() + ' ' + request.append, request.slots);
}

void place_information(const ImageFile& file, const BootRequest& request, Placement& placement) {
  InfoBlock block;
  multiboot::Information info{};
  block.append(info);
  describe_memory(placement.memory_size(), block, info);
  describe_modules(request, placement, block, info);
  info.flags |= multiboot::kHasCommandLine | multiboot::kHasLoaderName;
  info.command_line = address_of(place_command_line(full_command_line(file, request), command_line_limit(), placement));
  info.loader_name = address_of(block.append_text("Tintype"));
  block.replace_first(info);
  placement.put(kBootInfoArea, block.bytes());
}

}  // namespace

std::optional<FoundMultibootHeader> find_multiboot_header(std::span<const std::byte> beginning) noexcept {
  beginning = beginning.first(std::min<std::size_t>(beginning.size(), multiboot::kSearchLimit));
  for (std::size_t offset = 0; offset < beginning.size(); offset += multiboot::kSearchAlignment) {
    if (const auto header = header_at(beginning, offset)) return FoundMultibootHeader{*header, offset};
  }
  return std::nullopt;
}

EntryState boot_multiboot(const FoundMultibootHeader& found, const ElfFile* elf, const ImageFile& file,
                          const BootRequest& request, Placement& placement) {
  check_flags(found.header, file);
  const bool by_addresses = (found.header.flags & multiboot::kHasAddresses) != 0;
  if (!by_addresses && elf == nullptr) {
    throw Error("{} has a multiboot header without addresses, and is no ELF file: build one or the other", file.path());
  }
  placement.reserve({kGdtArea, kBootInfoArea, kCommandLineArea});
  const std::uint32_t entry =
      by_addresses ? load_by_addresses(found, file, placement) : load_by_elf(*elf, file, placement);
  place_information(file, request, placement);
  EntryState state = protected_mode_entry(entry, kGdtArea.start);
  state.rax = multiboot::kLoaderMagic;
  state.rbx = kBootInfoArea.start;
  // A multiboot kernel comes after a BIOS and may go back to real mode: it finds the vectors, and a timer that ticks.
  state.idt_limit = kRealModeVectorsLimit;
  state.interrupts = InterruptStart::kFirmware;
  return state;
}

}  // namespace tintype
