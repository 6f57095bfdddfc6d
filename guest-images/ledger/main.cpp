// SPDX-License-Identifier: Apache-2.0
//
// Writes numbered records to RAM and to two disks, under full load, and checks all the while that
// the three agree.
#include "guest-images/ledger/ledger.h"
#include "guest-images/runtime/acpi.h"
#include "guest-images/runtime/boot_info.h"
#include "guest-images/runtime/console.h"
#include "guest-images/runtime/options.h"
#include "guest-images/runtime/random.h"
#include "guest-images/runtime/runtime.h"
#include "guest-images/runtime/timer.h"

namespace tintype::guest {
namespace {

constexpr std::uint32_t kHz = 100;
constexpr std::uint8_t kCannotRun = 2;

constinit Disk disks[kDisks];
constinit Witnesses witnesses;

std::uint64_t at_most(std::uint64_t value, std::uint64_t limit) { return value < limit ? value : limit; }

Ledger::Parameters parameters() {
  std::uint64_t lanes = number_option("depth", 16);
  for (const Disk& disk : disks) lanes = at_most(lanes, disk.tags() - 1);
  return Ledger::Parameters{
      .records = number_option("records", 0),
      .audit_every = number_option("audit_every", 0),
      .flush_every = number_option("flush_every", 64),
      .report_ticks = number_option("report_ms", 100) * kHz / 1000,
      .stall_ticks = number_option("stall_s", 30) * kHz,
      .lanes = static_cast<std::uint32_t>(lanes),
      .polled = option("completion") == Text("poll"),
  };
}

Layout layout() {
  const std::uint64_t mb = number_option("mb", 16);
  std::uint64_t sectors = at_most(disks[0].sectors(), disks[1].sectors());
  if (mb != 0) sectors = at_most(sectors, (mb << 20) / kSectorSize);
  return Layout(sectors);
}

}  // namespace

std::uint8_t kernel_main() {
  const bool polled = option("completion") == Text("poll");
  if (!disks[0].open(0, polled) || !disks[1].open(1, polled)) {
    print("LEDGER NEEDS TWO DISKS\n");
    return kCannotRun;
  }
  const Ledger::Parameters chosen = parameters();
  const Layout where = layout();
  if (chosen.lanes == 0 || where.slots() < 2 * chosen.lanes) {
    print("LEDGER NEEDS LARGER DISKS slots=", where.slots(), " depth=", chosen.lanes, "\n");
    return kCannotRun;
  }
  const CpuList cpus = find_cpus();
  const MemoryRange memory = free_memory();
  const std::uint64_t needed = Ledger::bytes(chosen, where) + Witnesses::bytes(cpus);
  if (memory.size < needed) {
    print("LEDGER NEEDS bytes=", needed, " FOUND bytes=", memory.size, "\n");
    return kCannotRun;
  }
  const std::uint64_t nonce = random_number();
  auto* const start = reinterpret_cast<std::uint8_t*>(memory.start);
  Ledger ledger(chosen, where, nonce, disks, witnesses, start + Witnesses::bytes(cpus));
  print("LEDGER ", hex(nonce, 16), " slots=", where.slots(), " sectors=", where.sectors(), " depth=", chosen.lanes,
        " ram=0x", hex(reinterpret_cast<std::uint64_t>(ledger.ram())), " cpus=", cpus.count, " lines=0x",
        hex(memory.start), "\n");
  if (!witnesses.start(cpus, nonce, start)) return kCannotRun;
  start_pit(kHz);
  return ledger.run();
}

}  // namespace tintype::guest
