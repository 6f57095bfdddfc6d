// SPDX-License-Identifier: Apache-2.0
#include "vmm/machine/core_file.h"

#include <elf.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <vector>

#include "checkpoint/store/flat_copy.h"
#include "checkpoint/store/space.h"
#include "checkpoint/store/sparse_file.h"
#include "vmm/base/overflow.h"
#include "vmm/machine/core_mapping.h"
#include "vmm/machine/core_notes.h"
#include "vmm/machine/inspector.h"
#include "vmm/machine/vmcoreinfo.h"

namespace tintype {

namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kPageBytes = 4096;
// Where physical memory stands among the linear addresses while the CPU has paging on: at no canonical address, so that
// it is in nobody's way. Readers of kernels go by p_paddr.
constexpr std::uint64_t kNoLinearAddress = 1ULL << 63;

/// Guest memory in pieces that are read once: page tables lie close to each other, and what holds them is compressed
/// and checked as a whole.
class CachedMemory {
 public:
  explicit CachedMemory(ReadPhysical memory) : memory_(std::move(memory)) {}

  bool read(Gpa from, std::span<std::byte> into) {
    const std::uint64_t start = align_down(from.value(), kPiece);
    const std::uint64_t offset = from.value() - start;
    if (offset + into.size() > kPiece) return memory_(from, into);
    if (pieces_.size() > kMostPieces) pieces_.clear();
    auto [piece, fresh] = pieces_.try_emplace(start);
    if (fresh) {
      piece->second.resize(kPiece);
      if (!memory_(Gpa(start), piece->second)) piece->second.clear();
    }
    if (piece->second.empty()) return memory_(from, into);  // where a region begins or ends
    std::copy_n(piece->second.begin() + static_cast<std::ptrdiff_t>(offset), into.size(), into.begin());
    return true;
  }

 private:
  static constexpr std::uint64_t kPiece = 2 << 20;
  static constexpr std::size_t kMostPieces = 64;

  ReadPhysical memory_;
  std::map<std::uint64_t, std::vector<std::byte>> pieces_;
};

/// A region of memory, and where in the file it is.
struct PlacedRegion {
  RegionDescription region;
  std::uint64_t offset = 0;
};

class CoreWriter {
 public:
  explicit CoreWriter(const CheckpointReader& checkpoint) : checkpoint_(checkpoint), inspector_(checkpoint) {}

  CoreFile write(const fs::path& file, const ProgressSink& progress) {
    const std::string vmcoreinfo = find_vmcoreinfo(checkpoint_.memory());
    gather_notes(vmcoreinfo);
    CachedMemory memory(inspector_.memory());
    if (inspector_.cpus() == 0) throw ImageError("the checkpoint has the state of no CPU: it can be in no core");
    std::vector<kvm_sregs> cpus;
    for (std::size_t cpu = 0; cpu < inspector_.cpus(); ++cpu) cpus.push_back(inspector_.registers(cpu).system);
    const auto [paging, mapped] =
        core_mapping([&](Gpa from, std::span<std::byte> into) { return memory.read(from, into); }, cpus, vmcoreinfo);
    core_.all_mapped = mapped.whole;
    plan(mapped.runs, paging);
    write_file(file, progress);
    return core_;
  }

 private:
  void gather_notes(const std::string& vmcoreinfo) {
    core_.cpus = inspector_.cpus();
    for (std::size_t cpu = 0; cpu < inspector_.cpus(); ++cpu)
      notes_.add_registers(inspector_.registers(cpu), static_cast<std::uint32_t>(cpu + 1));
    for (std::size_t cpu = 0; cpu < inspector_.cpus(); ++cpu) notes_.add_system_registers(inspector_.registers(cpu));
    if (vmcoreinfo.empty()) return;
    notes_.add_vmcoreinfo(vmcoreinfo);
    core_.linux_release = vmcoreinfo_value(vmcoreinfo, "OSRELEASE");
  }

  /// Headers and notes come first, then memory, region after region.
  void plan(const std::vector<MappedRun>& runs, bool paging) {
    for (const RegionDescription& region : checkpoint_.manifest().machine.regions) regions_.push_back({region, 0});
    for (const PlacedRegion& placed : regions_)
      add_segment(placed, placed.region.start + (paging ? kNoLinearAddress : 0), placed.region.start,
                  placed.region.size);
    for (const MappedRun& run : runs) add_run(run);
    core_.mapped_runs = segments_.size() - regions_.size();
    notes_offset_ = sizeof(Elf64_Ehdr) + (segments_.size() + 1) * sizeof(Elf64_Phdr);
    std::uint64_t offset = align_up(notes_offset_ + notes_.bytes().size(), kPageBytes);
    for (PlacedRegion& placed : regions_) {
      placed.offset = offset;
      offset += placed.region.size;
    }
    end_ = offset;
    for (auto& [header, region] : segments_) header.p_offset += regions_[region].offset;
  }

  /// What of it is memory.
  void add_run(const MappedRun& run) {
    for (const PlacedRegion& placed : regions_) {
      const RegionDescription& region = placed.region;
      const std::uint64_t first = std::max(run.physical, region.start);
      const std::uint64_t end = std::min(run.physical + run.bytes, region.start + region.size);
      if (first < end && segments_.size() >= kMostSegments) core_.all_mapped = false;
      if (first < end && segments_.size() < kMostSegments)
        add_segment(placed, run.linear + (first - run.physical), first, end - first);
    }
  }

  void add_segment(const PlacedRegion& placed, std::uint64_t linear, std::uint64_t physical, std::uint64_t bytes) {
    Elf64_Phdr header{};
    header.p_type = PT_LOAD;
    header.p_flags = PF_R | PF_W | PF_X;
    header.p_offset = physical - placed.region.start;  // the region's is added when it is known
    header.p_vaddr = linear;
    header.p_paddr = physical;
    header.p_filesz = header.p_memsz = bytes;
    segments_.emplace_back(header, static_cast<std::size_t>(&placed - regions_.data()));
  }

  std::vector<std::byte> headers() const {
    Elf64_Ehdr elf{};
    std::memcpy(elf.e_ident, ELFMAG, SELFMAG);
    elf.e_ident[EI_CLASS] = ELFCLASS64;
    elf.e_ident[EI_DATA] = ELFDATA2LSB;
    elf.e_ident[EI_VERSION] = EV_CURRENT;
    elf.e_type = ET_CORE;
    elf.e_machine = EM_X86_64;
    elf.e_version = EV_CURRENT;
    elf.e_phoff = sizeof elf;
    elf.e_ehsize = sizeof elf;
    elf.e_phentsize = sizeof(Elf64_Phdr);
    elf.e_phnum = static_cast<Elf64_Half>(segments_.size() + 1);
    Elf64_Phdr note{};
    note.p_type = PT_NOTE;
    note.p_offset = notes_offset_;
    note.p_filesz = note.p_memsz = notes_.bytes().size();
    std::vector<std::byte> bytes;
    append(bytes, elf);
    append(bytes, note);
    for (const auto& segment : segments_) append(bytes, segment.first);
    bytes.insert(bytes.end(), notes_.bytes().begin(), notes_.bytes().end());
    return bytes;
  }

  template <typename T>
  static void append(std::vector<std::byte>& bytes, const T& value) {
    const auto more = std::as_bytes(std::span(&value, 1));
    bytes.insert(bytes.end(), more.begin(), more.end());
  }

  void write_file(const fs::path& file, const ProgressSink& progress) {
    const BlockSource& memory = checkpoint_.memory();
    std::vector<FlatPlacement> layout;
    for (const auto& [region, offset] : regions_)
      layout.push_back({region.first_block, region.first_block + region.size / kBlockSize, offset});
    const fs::path name = replaceable_name(file);
    SparseFile output(name, end_);
    require_space(name.has_parent_path() ? name.parent_path() : ".", memory.data_blocks() * kBlockSize, "the core");
    const std::vector<std::byte> first = headers();
    output.write(0, first);
    const std::uint64_t written = copy_flat(memory, layout, output, progress) + first.size();
    output.replace();
    core_.file = {name, end_, written};
  }

  static constexpr std::size_t kMostSegments = PN_XNUM - 2;

  const CheckpointReader& checkpoint_;
  const Inspector inspector_;
  CoreFile core_;
  CoreNotes notes_;
  std::vector<PlacedRegion> regions_;
  std::vector<std::pair<Elf64_Phdr, std::size_t>> segments_;  ///< with the number of its region
  std::uint64_t notes_offset_ = 0, end_ = 0;
};

}  // namespace

CoreFile export_core(const CheckpointReader& checkpoint, const fs::path& file, const ProgressSink& progress) {
  checkpoint.require(Portion::kMemory);
  return CoreWriter(checkpoint).write(file, progress);
}

}  // namespace tintype
