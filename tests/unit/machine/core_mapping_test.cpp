// SPDX-License-Identifier: Apache-2.0
#include "vmm/machine/core_mapping.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "tests/unit/machine/long_mode.h"
#include "vmm/machine/vmcoreinfo.h"

namespace tintype {

namespace {

constexpr std::uint64_t kProgram = 0x1000, kKernel = 0x2000;  // tables of the first level

/// A Linux with page-table isolation: the program's tables have its own page and the door into the kernel; the
/// kernel's have all of its image, which is at 4 MiB, and linked at the beginning of its map.
struct IsolatedMachine {
  IsolatedMachine() {
    entry(kProgram, 0, 0x3000), entry(0x3000, 0, 0x4000), entry(0x4000, 2, 0x60'0000 | kLarge);
    entry(kProgram, 511, 0x5000), entry(0x5000, 510, 0x6000), entry(0x6000, 0, 0x7000), entry(0x7000, 0, 0x40'0000);
    entry(kKernel, 511, 0x8000), entry(0x8000, 510, 0x9000), entry(0x9000, 0, 0x40'0000 | kLarge);
    cpus[1].ss.dpl = cpus[0].ss.dpl = 3;
  }
  void entry(std::uint64_t table, std::uint64_t index, std::uint64_t value) {
    REQUIRE(memory.store<std::uint64_t>(Gpa(table + 8 * index), value | 3));
  }
  CoreMapping mapping(std::string_view vmcoreinfo) const { return core_mapping(physical(memory), cpus, vmcoreinfo); }

  static constexpr std::uint64_t kLarge = 1 << 7;
  GuestMemory memory{8 << 20};
  kvm_sregs cpus[2] = {long_mode(kProgram), long_mode(kProgram)};
};

const MappedRun kItsPage{0x40'0000, 0x60'0000, 2 << 20}, kDoor{kLinuxMap, 0x40'0000, 4096},
    kImage{kLinuxMap, 0x40'0000, 2 << 20};

/// The table is at 8 KiB of memory, and so `phys_base` below the beginning of the map.
std::string vmcoreinfo(const std::string& symbol) {
  return fmt::format("OSRELEASE=6.1\nNUMBER(phys_base)=-8192\nSYMBOL({})={:x}\n", symbol, kLinuxMap + kKernel + 8192);
}

using Runs = std::vector<MappedRun>;

}  // namespace

TEST_CASE("where all CPUs run programs with isolated tables, a Linux's own tables have its half") {
  const IsolatedMachine machine;
  CHECK(machine.mapping("").mapped.runs == Runs{kItsPage, kDoor});
  for (const char* symbol : {"init_top_pgt", "swapper_pg_dir"}) {
    const CoreMapping mapping = machine.mapping(vmcoreinfo(symbol));
    CHECK(mapping.paging);
    CHECK(mapping.mapped.whole);
    CHECK(mapping.mapped.runs == Runs{kItsPage, kImage});
  }
}

TEST_CASE("a CPU that is in its kernel has all of it") {
  IsolatedMachine machine;
  machine.cpus[1] = long_mode(kKernel);
  CHECK(machine.mapping("").mapped.runs == Runs{kImage});
  machine.cpus[1].cr0 = 1;  // not yet with paging
  CHECK(machine.mapping("").mapped.runs == Runs{kItsPage, kDoor});
}

TEST_CASE("tables that are not where it is said are no tables") {
  const IsolatedMachine machine;
  const std::string nowhere = fmt::format("NUMBER(phys_base)=0\nSYMBOL(init_top_pgt)={:x}\n", kLinuxMap + (64 << 20));
  CHECK(machine.mapping(nowhere).mapped.runs == Runs{kItsPage, kDoor});
  CHECK(machine.mapping("SYMBOL(init_top_pgt)=1000\n").mapped.runs == Runs{kItsPage, kDoor});
  CHECK(machine.mapping("SYMBOL(init_top_pgt)=x\n").mapped.runs == Runs{kItsPage, kDoor});
}

TEST_CASE("without paging nothing is mapped, and that is said") {
  GuestMemory memory(1 << 20);
  const kvm_sregs cpus[1]{};
  const CoreMapping mapping = core_mapping(physical(memory), cpus, "");
  CHECK_FALSE(mapping.paging);
  CHECK(mapping.mapped.runs.empty());
}

}  // namespace tintype
