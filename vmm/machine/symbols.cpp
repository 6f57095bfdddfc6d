// SPDX-License-Identifier: Apache-2.0
#include "vmm/machine/symbols.h"

#include <cxxabi.h>
#include <elf.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <span>

#include "vmm/base/error.h"
#include "vmm/boot/elf.h"
#include "vmm/machine/vmcoreinfo.h"

namespace tintype {
namespace {

constexpr std::uint64_t kMostBytes = 256 << 20;  // of a table; that of a distribution's kernel has 10 MiB

template <typename T>
std::vector<T> array_in(const ImageFile& file, std::uint64_t offset, std::uint64_t bytes, std::string_view part) {
  if (bytes > kMostBytes || bytes % sizeof(T) != 0)
    throw Error("{} is damaged: its {} is no such table", file.path(), part);
  file.check_range(offset, bytes, part);
  std::vector<T> array(bytes / sizeof(T));
  file.read(offset, std::as_writable_bytes(std::span(array)));
  return array;
}

std::vector<Elf64_Shdr> sections_of(const ImageFile& file) {
  const auto header = file.load<Elf64_Ehdr>(0, "ELF header");
  if (header.e_shoff == 0 || header.e_shentsize != sizeof(Elf64_Shdr)) return {};
  return array_in<Elf64_Shdr>(file, header.e_shoff, std::uint64_t{header.e_shnum} * sizeof(Elf64_Shdr),
                              "section header table");
}

/// From where the file has it to where it lies in memory; nothing for what is nowhere.
class Placing {
 public:
  Placing(const ElfFile& elf, std::string_view vmcoreinfo) : elf_(elf), is_linux_(!vmcoreinfo.empty()) {
    if (is_linux_) shift_ = vmcoreinfo_hex(vmcoreinfo, "KERNELOFFSET") + linux_shift(vmcoreinfo);
  }
  std::optional<std::uint64_t> operator()(std::uint64_t address) const {
    for (const ElfSegment& segment : elf_.segments) {
      if (address < segment.virtual_address || address - segment.virtual_address >= segment.memory_size) continue;
      if (!is_linux_) return address - segment.virtual_address + segment.physical;
      return address < kLinuxMap ? std::nullopt : std::optional(address + shift_);  // below: of each CPU, elsewhere
    }
    return std::nullopt;
  }

 private:
  const ElfFile& elf_;
  bool is_linux_;
  std::uint64_t shift_ = 0;
};

/// Of the note NT_GNU_BUILD_ID, in hexadecimal; empty where the section holds none.
std::string build_id_in(std::span<const std::byte> notes) {
  while (notes.size() >= sizeof(Elf64_Nhdr)) {
    Elf64_Nhdr note;
    std::memcpy(&note, notes.data(), sizeof note);
    const std::uint64_t name = (std::uint64_t{note.n_namesz} + 3) / 4 * 4,
                        all = name + (std::uint64_t{note.n_descsz} + 3) / 4 * 4;
    notes = notes.subspan(sizeof note);
    if (all > notes.size()) return {};
    if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 && std::memcmp(notes.data(), "GNU", 4) == 0) {
      std::string text;
      for (const std::byte byte : notes.subspan(name, note.n_descsz))
        text += fmt::format("{:02x}", std::to_integer<unsigned>(byte));
      return text;
    }
    notes = notes.subspan(all);
  }
  return {};
}

/// Where both say which build they are of, it must be the same one.
void check_build(const ImageFile& file, const std::vector<Elf64_Shdr>& sections, std::string_view vmcoreinfo) {
  const std::string_view wanted = vmcoreinfo_value(vmcoreinfo, "BUILD-ID");
  if (wanted.empty()) return;
  for (const Elf64_Shdr& section : sections) {
    if (section.sh_type != SHT_NOTE) continue;
    const std::string found = build_id_in(array_in<std::byte>(file, section.sh_offset, section.sh_size, "notes"));
    if (!found.empty() && found != wanted)
      throw Error("{} has the symbols of another kernel (build {}) than the one in the checkpoint (build {}, {})",
                  file.path(), found, wanted, vmcoreinfo_value(vmcoreinfo, "OSRELEASE"));
  }
}

constexpr std::uint64_t kPiece = 1 << 20;
constexpr std::uint64_t kMayDiffer = 64;  // one byte of so many: kernels patch themselves, and drop their beginnings

/// How many bytes of a section are not in memory as the file has them.
std::uint64_t bytes_unlike(const ImageFile& file, const Elf64_Shdr& section, const Placing& place,
                           const ReadPhysical& memory) {
  const auto start = place(section.sh_addr);
  std::uint64_t unlike = 0;
  std::vector<std::byte> wanted, found;
  for (std::uint64_t done = 0; done < section.sh_size; done += wanted.size()) {
    wanted.resize(std::min(kPiece, section.sh_size - done));
    file.check_range(section.sh_offset + done, wanted.size(), "section");
    file.read(section.sh_offset + done, wanted);
    found.resize(wanted.size());
    if (!start || !memory(Gpa(*start + done), found)) return section.sh_size;
    for (std::size_t i = 0; i < wanted.size(); ++i) unlike += wanted[i] != found[i];
  }
  return unlike;
}

/// What no kernel writes to (its code, above all) must be in memory where the file has it.
void check_code(const ImageFile& file, const std::vector<Elf64_Shdr>& sections, const Placing& place,
                const ReadPhysical& memory) {
  std::uint64_t all = 0, unlike = 0;
  for (const Elf64_Shdr& section : sections) {
    const bool constant = (section.sh_flags & SHF_ALLOC) != 0 && (section.sh_flags & SHF_WRITE) == 0;
    if (section.sh_type != SHT_PROGBITS || !constant) continue;
    all += section.sh_size;
    unlike += bytes_unlike(file, section, place, memory);
  }
  if (unlike > all / kMayDiffer)
    throw Error(
        "{} is another kernel than the one in the checkpoint: {} bytes of its code and constants, of {}, are "
        "not in memory there; give the file that was booted, or NAME.elf64 of the same build",
        file.path(), unlike, all);
}

bool is_named_thing(const Elf64_Sym& symbol) {
  const auto type = ELF64_ST_TYPE(symbol.st_info);
  return (type == STT_FUNC || type == STT_OBJECT) && symbol.st_size != 0 && symbol.st_shndx != SHN_UNDEF;
}

/// As it stands in the source, where it is one of C++ (Itanium C++ ABI, 5.1).
std::string source_name(const std::string& name) {
  if (!name.starts_with("_Z")) return name;
  int status = 0;
  const std::unique_ptr<char, decltype(&std::free)> text(abi::__cxa_demangle(name.c_str(), nullptr, nullptr, &status),
                                                         &std::free);
  return text ? text.get() : name;
}

}  // namespace

SymbolTable::SymbolTable(const std::filesystem::path& path, std::string_view vmcoreinfo, const ReadPhysical& memory) {
  const ImageFile file(path, "symbol file");
  const ElfFile elf = parse_elf(file);
  const std::vector<Elf64_Shdr> sections = elf.is_64 ? sections_of(file) : std::vector<Elf64_Shdr>{};
  check_build(file, sections, vmcoreinfo);
  const Placing place(elf, vmcoreinfo);
  if (vmcoreinfo.empty()) check_code(file, sections, place, memory);
  for (const Elf64_Shdr& section : sections) {
    if (section.sh_type != SHT_SYMTAB || section.sh_link >= sections.size()) continue;
    const Elf64_Shdr& strings = sections[section.sh_link];
    std::vector<char> names = array_in<char>(file, strings.sh_offset, strings.sh_size, "names");
    names.push_back('\0');
    for (const auto& symbol : array_in<Elf64_Sym>(file, section.sh_offset, section.sh_size, "symbol table")) {
      const auto at = is_named_thing(symbol) ? place(symbol.st_value) : std::nullopt;
      if (at && symbol.st_name < names.size()) symbols_.push_back({*at, symbol.st_size, &names[symbol.st_name]});
    }
  }
  if (symbols_.empty())
    throw Error("{} has no symbols: give the vmlinux with debugging information, or NAME.elf64 of a test kernel",
                path.string());
  std::ranges::sort(symbols_, {}, &Symbol::start);
  largest_ = std::ranges::max(symbols_, {}, &Symbol::size).size;
}

std::vector<std::string> SymbolTable::names_in(std::uint64_t start, std::uint64_t bytes) const {
  std::vector<std::string> names;
  auto symbol = std::ranges::lower_bound(symbols_, start - std::min(start, largest_), {}, &Symbol::start);
  for (; symbol != symbols_.end() && symbol->start < start + bytes; ++symbol)
    if (start < symbol->start || start - symbol->start < symbol->size) names.push_back(source_name(symbol->name));
  return names;
}

}  // namespace tintype
