// SPDX-License-Identifier: Apache-2.0
#include "vmm/boot/elf.h"

#include <elf.h>

#include <algorithm>
#include <cstring>

#include "vmm/base/error.h"
#include "vmm/base/overflow.h"

namespace tintype {

namespace {

constexpr std::uint16_t kMostProgramHeaders = 1024;
constexpr std::uint64_t kMostNoteBytes = 1 << 20;
constexpr std::uint32_t kPvhNote = 18;  // XEN_ELFNOTE_PHYS32_ENTRY
constexpr std::string_view kPvhOwner{"Xen\0", 4};

struct Class32 {
  using Header = Elf32_Ehdr;
  using ProgramHeader = Elf32_Phdr;
};
struct Class64 {
  using Header = Elf64_Ehdr;
  using ProgramHeader = Elf64_Phdr;
};

void check_type(std::uint16_t type, const ImageFile& file) {
  if (type == ET_EXEC) return;
  if (type == ET_DYN)
    throw Error("{} is a position-independent program or library, not a kernel: link it with -static -no-pie",
                file.path());
  if (type == ET_REL) throw Error("{} is an object file: link it into a kernel first", file.path());
  throw Error("{} is an ELF file of type {}, which cannot be booted: give an executable", file.path(), type);
}

void check_machine(std::uint16_t machine, const ImageFile& file) {
  if (machine == EM_386 || machine == EM_X86_64) return;
  throw Error("{} is for another kind of processor (ELF machine {}): give a kernel for x86", file.path(), machine);
}

/// The PVH entry, where `note` is the note that says it.
std::optional<std::uint32_t> pvh_entry_in(std::uint32_t type, std::span<const std::byte> name,
                                          std::span<const std::byte> text, const ImageFile& file) {
  const std::string_view owner(reinterpret_cast<const char*>(name.data()), name.size());
  if (type != kPvhNote || owner != kPvhOwner) return std::nullopt;
  std::uint64_t entry = 0;
  if (text.size() != 4 && text.size() != 8) throw Error("the PVH note of {} is damaged: build it again", file.path());
  std::memcpy(&entry, text.data(), text.size());
  if (entry > UINT32_MAX) throw Error("the PVH note of {} gives an entry above 4 GiB: link it below", file.path());
  return static_cast<std::uint32_t>(entry);
}

/// Walks the notes of one PT_NOTE segment. `alignment` is 4 or 8.
std::optional<std::uint32_t> find_pvh_note(std::span<const std::byte> notes, std::uint64_t alignment,
                                           const ImageFile& file) {
  Elf32_Nhdr header{};
  while (notes.size() >= sizeof header) {
    std::memcpy(&header, notes.data(), sizeof header);
    const std::uint64_t text_start = align_up(sizeof header + std::uint64_t{header.n_namesz}, alignment);
    const std::uint64_t end = text_start + header.n_descsz;
    if (end > notes.size()) return std::nullopt;
    const auto entry = pvh_entry_in(header.n_type, notes.subspan(sizeof header, header.n_namesz),
                                    notes.subspan(text_start, header.n_descsz), file);
    if (entry) return entry;
    notes = notes.subspan(std::min<std::uint64_t>(align_up(end, alignment), notes.size()));
  }
  return std::nullopt;
}

template <typename ProgramHeader>
void add_notes(const ProgramHeader& header, const ImageFile& file, ElfFile& elf) {
  if (elf.pvh_entry || header.p_filesz > kMostNoteBytes) return;
  file.check_range(header.p_offset, header.p_filesz, "note segment");
  std::vector<std::byte> notes(header.p_filesz);
  file.read(header.p_offset, notes);
  elf.pvh_entry = find_pvh_note(notes, header.p_align == 8 ? 8 : 4, file);
}

template <typename ProgramHeader>
void add_segment(const ProgramHeader& header, const ImageFile& file, ElfFile& elf) {
  if (header.p_memsz == 0 && header.p_filesz == 0) return;
  if (header.p_filesz > header.p_memsz) {
    throw Error("{} is damaged: a segment has more bytes in the file than in memory; build or copy it again",
                file.path());
  }
  elf.segments.push_back({.file_offset = header.p_offset,
                          .file_size = header.p_filesz,
                          .physical = header.p_paddr,
                          .virtual_address = header.p_vaddr,
                          .memory_size = header.p_memsz});
}

template <typename ProgramHeader>
std::vector<ProgramHeader> read_program_headers(std::uint64_t offset, std::uint16_t count, const ImageFile& file) {
  const std::uint64_t bytes = count * sizeof(ProgramHeader);
  file.check_range(offset, bytes, "table of segments");
  std::vector<ProgramHeader> headers(count);
  file.read(offset, std::as_writable_bytes(std::span(headers)));
  return headers;
}

template <typename Class>
ElfFile parse_class(const ImageFile& file) {
  using ProgramHeader = typename Class::ProgramHeader;
  const auto header = file.load<typename Class::Header>(0, "ELF header");
  check_machine(header.e_machine, file);
  check_type(header.e_type, file);
  if (header.e_phnum == 0 || header.e_phnum > kMostProgramHeaders || header.e_phentsize != sizeof(ProgramHeader)) {
    throw Error("{} is damaged or no kernel: its table of segments makes no sense; build it again", file.path());
  }
  ElfFile elf;
  elf.is_64 = std::is_same_v<Class, Class64>;
  elf.entry = header.e_entry;
  for (const auto& segment : read_program_headers<ProgramHeader>(header.e_phoff, header.e_phnum, file)) {
    if (segment.p_type == PT_INTERP) throw Error("{} is a program for an operating system, not a kernel", file.path());
    if (segment.p_type == PT_NOTE) add_notes(segment, file, elf);
    if (segment.p_type == PT_LOAD) add_segment(segment, file, elf);
  }
  if (elf.segments.empty()) throw Error("{} has nothing to load: give a linked kernel", file.path());
  return elf;
}

bool holds(std::uint64_t start, std::uint64_t size, std::uint64_t address) {
  return address >= start && address - start < size;
}

}  // namespace

ElfFile parse_elf(const ImageFile& file) {
  const auto identity = file.load<std::array<unsigned char, EI_NIDENT>>(0, "ELF header");
  if (identity[EI_DATA] != ELFDATA2LSB) {
    throw Error("{} is damaged or for another kind of processor: its byte order is not that of x86", file.path());
  }
  if (identity[EI_CLASS] == ELFCLASS32) return parse_class<Class32>(file);
  if (identity[EI_CLASS] == ELFCLASS64) return parse_class<Class64>(file);
  throw Error("{} is damaged: it is neither a 32-bit nor a 64-bit ELF file; build or copy it again", file.path());
}

void load_elf(const ElfFile& elf, const ImageFile& file, Placement& placement) {
  for (std::size_t i = 0; i < elf.segments.size(); ++i) {
    const ElfSegment& segment = elf.segments[i];
    placement.load(file, {.image = file.path(),
                          .name = fmt::format("segment {}", i),
                          .start = segment.physical,
                          .size = segment.memory_size,
                          .file_offset = segment.file_offset,
                          .file_size = segment.file_size,
                          .virtual_start = segment.virtual_address});
  }
}

std::uint64_t physical_entry(const ElfFile& elf, std::uint64_t entry, const ImageFile& file) {
  for (const ElfSegment& segment : elf.segments) {
    if (holds(segment.physical, segment.memory_size, entry)) return entry;
  }
  for (const ElfSegment& segment : elf.segments) {
    if (!holds(segment.virtual_address, segment.memory_size, entry)) continue;
    return segment.physical + (entry - segment.virtual_address);
  }
  throw Error("the entry point {:#x} of {} is in none of its segments: check how it was linked", entry, file.path());
}

}  // namespace tintype
