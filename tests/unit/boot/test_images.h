// SPDX-License-Identifier: Apache-2.0
#pragma once

// Tiny kernels of every kind, made by the tests themselves so that each byte of a header can be wrong on
// purpose.

#include <elf.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "vmm/base/error.h"
#include "vmm/boot/linux_spec.h"
#include "vmm/boot/load.h"
#include "vmm/boot/multiboot_spec.h"

namespace tintype::test {

using Bytes = std::vector<std::uint8_t>;

template <typename T>
void put(Bytes& bytes, std::size_t offset, const T& value) {
  if (bytes.size() < offset + sizeof value) bytes.resize(offset + sizeof value);
  std::memcpy(&bytes[offset], &value, sizeof value);
}

inline void append(Bytes& bytes, const Bytes& more) { bytes.insert(bytes.end(), more.begin(), more.end()); }

/// A file with this content, for as long as the object lives.
class TempFile {
 public:
  explicit TempFile(const Bytes& content) {
    const std::filesystem::path memory = "/dev/shm";  // thousands of them are rewritten: no disk should have to follow
    const auto directory = std::filesystem::exists(memory) ? memory : std::filesystem::temp_directory_path();
    std::string name = (directory / "tintype-boot-XXXXXX").string();
    const int fd = ::mkstemp(name.data());
    check(fd >= 0, "a temporary file can be made");
    ::close(fd);
    path_ = name;
    replace(content);
  }
  TempFile(const TempFile&) = delete;
  TempFile& operator=(const TempFile&) = delete;
  ~TempFile() { std::filesystem::remove(path_); }

  void replace(const Bytes& content) const {
    std::ofstream out(path_, std::ios::binary | std::ios::trunc);
    out.write(reinterpret_cast<const char*>(content.data()), static_cast<std::streamsize>(content.size()));
  }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

// --- ELF ---

struct TestSegment {
  std::uint64_t physical = 0;
  Bytes content;
  std::uint64_t memory_size = 0;     ///< 0: as long as the content
  std::uint64_t virtual_offset = 0;  ///< added to the physical address
};

struct TestElf {
  std::uint64_t entry = 0x100000;
  std::vector<TestSegment> segments = {{.physical = 0x100000, .content = Bytes(64, 0x90)}};
  Bytes notes;             ///< content of a PT_NOTE segment; empty: none
  bool multiboot = false;  ///< put a multiboot header in front of the segments
  std::uint32_t multiboot_flags = 0;
  std::uint16_t type = ET_EXEC;
  std::uint16_t machine = EM_386;
};

/// One note. Linux writes its PVH entry in 8 bytes, small kernels in 4.
inline Bytes note(const std::string& owner, std::uint32_t type, const Bytes& text) {
  Bytes bytes;
  put(bytes, 0, static_cast<std::uint32_t>(owner.size() + 1));
  put(bytes, 4, static_cast<std::uint32_t>(text.size()));
  put(bytes, 8, type);
  for (const char c : owner) bytes.push_back(static_cast<std::uint8_t>(c));
  do bytes.push_back(0);
  while (bytes.size() % 4 != 0);
  append(bytes, text);
  while (bytes.size() % 4 != 0) bytes.push_back(0);
  return bytes;
}

inline Bytes pvh_note(std::uint64_t entry, std::size_t size = 4) {
  Bytes text;
  put(text, 0, entry);
  text.resize(size);
  return note("Xen", 18, text);
}

inline Bytes multiboot_header(const multiboot::Header& header) {
  Bytes bytes;
  multiboot::Header sealed = header;
  sealed.magic = multiboot::kHeaderMagic;
  sealed.checksum = 0 - sealed.magic - sealed.flags;
  put(bytes, 0, sealed);
  return bytes;
}

template <typename Header, typename ProgramHeader>
Bytes make_elf(const TestElf& elf, unsigned char elf_class) {
  Header header{};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = elf_class;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_type = elf.type;
  header.e_machine = elf.machine;
  header.e_entry = static_cast<decltype(header.e_entry)>(elf.entry);
  header.e_phoff = sizeof header;
  header.e_phentsize = sizeof(ProgramHeader);
  header.e_phnum = static_cast<std::uint16_t>(elf.segments.size() + (elf.notes.empty() ? 0 : 1));
  Bytes bytes;
  put(bytes, 0, header);
  bytes.resize(sizeof header + header.e_phnum * sizeof(ProgramHeader));
  std::size_t slot = sizeof header;
  const auto add = [&](std::uint32_t type, std::uint64_t physical, std::uint64_t virtual_address, const Bytes& content,
                       std::uint64_t memory_size) {
    ProgramHeader program{};
    using Word = decltype(program.p_filesz);
    program.p_type = type;
    program.p_offset = static_cast<Word>(bytes.size());
    program.p_paddr = static_cast<Word>(physical);
    program.p_vaddr = static_cast<Word>(virtual_address);
    program.p_filesz = static_cast<Word>(content.size());
    program.p_memsz = static_cast<Word>(memory_size == 0 ? content.size() : memory_size);
    program.p_align = 4;
    put(bytes, slot, program);
    slot += sizeof program;
    append(bytes, content);
  };
  if (elf.multiboot) {
    multiboot::Header multiboot{};
    multiboot.flags = elf.multiboot_flags;
    append(bytes, multiboot_header(multiboot));
  }
  if (!elf.notes.empty()) add(PT_NOTE, 0, 0, elf.notes, 0);
  for (const TestSegment& segment : elf.segments) {
    add(PT_LOAD, segment.physical, segment.physical + segment.virtual_offset, segment.content, segment.memory_size);
  }
  return bytes;
}

inline Bytes elf32(const TestElf& elf) { return make_elf<Elf32_Ehdr, Elf32_Phdr>(elf, ELFCLASS32); }
inline Bytes elf64(TestElf elf) {
  elf.machine = elf.machine == EM_386 ? EM_X86_64 : elf.machine;
  return make_elf<Elf64_Ehdr, Elf64_Phdr>(elf, ELFCLASS64);
}

// --- Linux ---

inline constexpr std::size_t kTestSetupSectors = 3;
inline constexpr std::uint64_t kTestPreferredAddress = 0x200000;

inline linux_boot::SetupHeader good_setup_header() {
  linux_boot::SetupHeader header{};
  header.setup_sectors = kTestSetupSectors;
  header.system_size = 4096 / linux_boot::kSizeUnit;
  header.boot_flag = linux_boot::kBootFlag;
  header.jump = 0x6aeb;  // jmp over the header, to 0x26c
  header.magic = linux_boot::kMagic;
  header.version = 0x020f;
  header.load_flags = linux_boot::kLoadedHigh;
  header.initrd_address_max = 0x7fffffff;
  header.kernel_alignment = 0x200000;
  header.relocatable = 1;
  header.xload_flags = linux_boot::kKernel64;
  header.command_line_size = 2047;
  header.preferred_address = kTestPreferredAddress;
  header.init_size = 0x20000;
  return header;
}

/// A bzImage whose protected-mode part is 4096 bytes of 0xb2.
inline Bytes bzimage(const linux_boot::SetupHeader& header = good_setup_header()) {
  Bytes bytes((1 + kTestSetupSectors) * linux_boot::kSectorSize);
  put(bytes, linux_boot::kHeaderOffset, header);
  bytes.resize(bytes.size() + 4096, 0xb2);
  return bytes;
}

// --- loading ---

struct TestBoot {
  explicit TestBoot(std::uint64_t memory_size = 16 << 20) : memory(memory_size) {}

  void load(const Bytes& kernel) {
    kernel_file.replace(kernel);
    request.kernel = kernel_file.path();
    plan = load_kernel(memory, request);
  }
  void give_initrd(const Bytes& content) {
    initrd_file.replace(content);
    request.initrd = initrd_file.path();
  }
  /// The error's text; empty where there was none.
  std::string refusal(const Bytes& kernel) {
    try {
      load(kernel);
    } catch (const Error& error) {
      return error.what();
    }
    return {};
  }
  template <typename T>
  T at(std::uint64_t address) const {
    const auto value = memory.load<T>(Gpa(address));
    check(value.has_value(), "the test looks at memory");
    return *value;
  }
  std::string text_at(std::uint64_t address) const {
    std::string text;
    while (const char c = at<char>(address++)) text += c;
    return text;
  }
  const LoadedPart* part(const std::string& name) const {
    for (const LoadedPart& candidate : plan.parts) {
      if (candidate.name == name) return &candidate;
    }
    return nullptr;
  }

  GuestMemory memory;
  TempFile kernel_file{Bytes{}};
  TempFile initrd_file{Bytes{}};
  BootRequest request;
  BootPlan plan;
};

inline void contains(const std::string& message, const std::string& part) {
  CAPTURE(message);
  CHECK(message.find(part) != std::string::npos);
}

}  // namespace tintype::test
