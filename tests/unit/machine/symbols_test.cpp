// SPDX-License-Identifier: Apache-2.0
#include "vmm/machine/symbols.h"

#include <elf.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include <doctest/doctest.h>

#include "vmm/base/error.h"

using namespace tintype;

namespace {

constexpr std::uint64_t kLinked = 0xffff'ffff'8100'0000, kPhysical = 0x10'0000;
constexpr std::size_t kCodeBytes = 4096, kNamesBytes = 23;

std::vector<std::byte> code_of(unsigned kernel) {
  std::vector<std::byte> code(kCodeBytes);
  for (std::size_t i = 0; i < code.size(); ++i) code[i] = static_cast<std::byte>(i * (2 * kernel + 1) >> 3);
  return code;
}

/// An ELF64 file of a kernel with one function, "work", 16 bytes into its code, and one variable, "guest::count".
class KernelFile {
 public:
  /// The build ID's bytes; none: without the note.
  explicit KernelFile(std::string_view build_id = "") {
    const std::size_t code = add(code_of(1)), data = add(std::vector<std::byte>(64, std::byte{7}));
    const std::size_t note = add_note(build_id),
                      names = add_text(std::string_view("\0work\0_ZN5guest5countE\0", kNamesBytes));
    Elf64_Sym symbols[3]{};
    symbols[1] = {1, ELF64_ST_INFO(STB_GLOBAL, STT_FUNC), 0, 1, kLinked + 16, 32};
    symbols[2] = {6, ELF64_ST_INFO(STB_GLOBAL, STT_OBJECT), 0, 2, kLinked + kCodeBytes, 8};
    const std::size_t table = add(std::as_bytes(std::span(symbols)));
    Elf64_Shdr sections[6]{};
    sections[1] = section(SHT_PROGBITS, SHF_ALLOC | SHF_EXECINSTR, kLinked, code, kCodeBytes);
    sections[2] = section(SHT_PROGBITS, SHF_ALLOC | SHF_WRITE, kLinked + kCodeBytes, data, 64);
    sections[3] = section(SHT_NOTE, SHF_ALLOC, 0, note, names - note);
    sections[4] = section(SHT_SYMTAB, 0, 0, table, sizeof symbols);
    sections[4].sh_link = 5;
    sections[5] = section(SHT_STRTAB, 0, 0, names, kNamesBytes);
    write_headers(code, add(std::as_bytes(std::span(sections))));
    std::ofstream(path_, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes_.data()), static_cast<std::streamsize>(bytes_.size()));
  }
  ~KernelFile() { std::filesystem::remove(path_); }
  KernelFile(const KernelFile&) = delete;
  KernelFile& operator=(const KernelFile&) = delete;

  SymbolTable symbols(std::string_view vmcoreinfo, const GuestMemory& memory) const {
    return SymbolTable(path_, vmcoreinfo, physical(memory));
  }

 private:
  std::size_t add(std::span<const std::byte> more) {
    const std::size_t at = bytes_.size();
    bytes_.insert(bytes_.end(), more.begin(), more.end());
    return at;
  }
  std::size_t add_text(std::string_view text) { return add(std::as_bytes(std::span(text))); }

  std::size_t add_note(std::string_view build_id) {
    if (build_id.empty()) return bytes_.size();
    const Elf64_Nhdr header{4, static_cast<Elf64_Word>(build_id.size()), NT_GNU_BUILD_ID};
    const std::size_t at = add(std::as_bytes(std::span(&header, 1)));
    add_text(std::string_view("GNU\0", 4));
    add_text(build_id);
    return at;
  }

  static Elf64_Shdr section(Elf64_Word type, Elf64_Xword flags, Elf64_Addr address, std::size_t at, std::size_t size) {
    Elf64_Shdr header{};
    header.sh_type = type;
    header.sh_flags = flags;
    header.sh_addr = address;
    header.sh_offset = at;
    header.sh_size = size;
    return header;
  }

  void write_headers(std::size_t code, std::size_t sections) {
    Elf64_Ehdr elf{};
    std::memcpy(elf.e_ident, ELFMAG, SELFMAG);
    elf.e_ident[EI_CLASS] = ELFCLASS64;
    elf.e_ident[EI_DATA] = ELFDATA2LSB;
    elf.e_type = ET_EXEC;
    elf.e_machine = EM_X86_64;
    elf.e_phoff = sizeof elf;
    elf.e_phentsize = sizeof(Elf64_Phdr);
    elf.e_phnum = 1;
    elf.e_shoff = sections;
    elf.e_shentsize = sizeof(Elf64_Shdr);
    elf.e_shnum = 6;
    const Elf64_Phdr load{PT_LOAD, PF_R | PF_W | PF_X, code, kLinked, kPhysical, kCodeBytes + 64, kCodeBytes + 64, 1};
    std::memcpy(bytes_.data(), &elf, sizeof elf);
    std::memcpy(bytes_.data() + sizeof elf, &load, sizeof load);
  }

  static inline int made_ = 0;
  const std::filesystem::path path_ =
      std::filesystem::temp_directory_path() / fmt::format("tintype-symbols-{}-{}", ::getpid(), ++made_);
  std::vector<std::byte> bytes_ = std::vector<std::byte>(sizeof(Elf64_Ehdr) + sizeof(Elf64_Phdr));
};

/// 32 MiB above where it is linked, which is 16 MiB into its map, and begins at 16 MiB of memory.
std::string linux_with(std::string_view build) {
  return fmt::format("OSRELEASE=6.1.0-test\nBUILD-ID={}\nNUMBER(phys_base)=-16777216\nKERNELOFFSET=2000000\n", build);
}

struct MemoryWith : GuestMemory {
  explicit MemoryWith(unsigned kernel) : GuestMemory(4 << 20) { REQUIRE(write(Gpa(kPhysical), code_of(kernel))); }
};

using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("a Linux's names are shifted by what it says of itself, where the file is of the same build") {
  const GuestMemory memory(1 << 20);
  const KernelFile file("\x12\xab\xcd\xef");
  const SymbolTable symbols = file.symbols(linux_with("12abcdef"), memory);
  // 16 MiB into the map, and the offset (32 MiB) and the base (-16 MiB) added.
  CHECK(symbols.names_in(0x200'0000, 4096) == Names{"work"});
  CHECK(symbols.names_in(0x200'0000, 16).empty());
  CHECK(symbols.names_in(0x200'1000, 4096) == Names{"guest::count"});
}

TEST_CASE("a Linux of another build is refused, with both builds named; who says none is believed") {
  const GuestMemory memory(1 << 20);
  const KernelFile file("\x12\xab\xcd\xef"), silent;
  CHECK_THROWS_WITH_AS(file.symbols(linux_with("12abcdee"), memory),
                       doctest::Contains("another kernel (build 12abcdef) than the one in the checkpoint (build "
                                         "12abcdee, 6.1.0-test)"),
                       Error);
  CHECK_NOTHROW(file.symbols("OSRELEASE=5.4\nNUMBER(phys_base)=0\nKERNELOFFSET=0\n", memory));
  CHECK_NOTHROW(silent.symbols(linux_with("12abcdee"), memory));
}

TEST_CASE("without a Linux, memory must have the file's code where the file has it") {
  const KernelFile file;
  MemoryWith memory(1);
  CHECK(file.symbols("", memory).names_in(kPhysical, 4096) == Names{"work"});  // though its data is another
  CHECK_THROWS_WITH_AS(file.symbols("", MemoryWith(2)), doctest::Contains("another kernel than the one"), Error);
  CHECK_THROWS_WITH_AS(file.symbols("", GuestMemory(4 << 20)), doctest::Contains("another kernel than the one"), Error);
  CHECK_THROWS_AS(file.symbols("", GuestMemory(kPhysical)), Error);  // no memory there
}

TEST_CASE("a kernel that patched itself in places is still the same one") {
  const KernelFile file;
  MemoryWith memory(1);
  const std::vector<std::byte> patch(kCodeBytes / 64, std::byte{0x90});
  REQUIRE(memory.write(Gpa(kPhysical + 100), patch));
  CHECK_NOTHROW(file.symbols("", memory));
  REQUIRE(memory.write(Gpa(kPhysical + 1000), patch));
  CHECK_THROWS_AS(file.symbols("", memory), Error);
}
