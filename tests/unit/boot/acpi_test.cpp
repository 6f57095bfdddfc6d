// SPDX-License-Identifier: Apache-2.0
#include "vmm/boot/acpi.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <numeric>
#include <string>

#include <doctest/doctest.h>

#include "tests/support/skip.h"
#include "tests/unit/boot/test_images.h"
#include "vmm/base/address_map.h"
#include "vmm/boot/acpi_spec.h"
#include "vmm/boot/generation_id.h"
#include "vmm/boot/layout.h"

namespace tintype {

using test::Bytes;
using test::TempFile;

namespace {

constexpr std::uint64_t kBase = 0xe0000;

BootRequest machine_of(unsigned cpus, std::size_t slots) {
  BootRequest request;
  request.cpus = cpus;
  for (std::size_t i = 0; i < slots; ++i)
    request.slots.push_back({virtio_mmio_address(i), kVirtioMmioStride, kVirtioMmioIrqs[i]});
  return request;
}

/// The tables as a guest finds them: from the RSDP through the roots.
struct FoundTables {
  explicit FoundTables(const BootRequest& request) {
    for (const std::byte byte : acpi_tables(kBase, request)) all.push_back(std::to_integer<std::uint8_t>(byte));
    const auto rsdp = at<acpi::Rsdp>(kBase);
    from_xsdt = read_root<std::uint64_t>(rsdp.xsdt);
    from_rsdt = read_root<std::uint32_t>(rsdp.rsdt);
    dsdt = table(at<acpi::Fadt>(from_xsdt.at("FACP")).x_dsdt);
  }
  template <typename T>
  T at(std::uint64_t address) const {
    T value{};
    REQUIRE(address - kBase + sizeof value <= all.size());
    std::memcpy(&value, &all[address - kBase], sizeof value);
    return value;
  }
  Bytes table(std::uint64_t address) const {
    const auto begin = all.begin() + static_cast<std::ptrdiff_t>(address - kBase);
    return {begin, begin + at<acpi::Header>(address).length};
  }
  template <typename Entry>
  std::map<std::string, std::uint64_t> read_root(std::uint64_t root) const {
    std::map<std::string, std::uint64_t> found;
    const auto length = at<acpi::Header>(root).length;
    for (std::uint64_t offset = sizeof(acpi::Header); offset < length; offset += sizeof(Entry)) {
      const std::uint64_t address = at<Entry>(root + offset);
      const auto signature = at<acpi::Text4>(address);
      found[std::string(signature.begin(), signature.end())] = address;
    }
    return found;
  }

  Bytes all;
  std::map<std::string, std::uint64_t> from_xsdt, from_rsdt;
  Bytes dsdt;
};

std::uint8_t sum(const Bytes& bytes) { return std::accumulate(bytes.begin(), bytes.end(), std::uint8_t{0}); }

/// A reader of just as much AML as we write: every named object, by path.
class AmlReader {
 public:
  explicit AmlReader(const Bytes& code) : code_(code) {}
  std::map<std::string, Bytes> objects() {
    read_terms(0, code_.size(), "");
    return std::move(found_);
  }

 private:
  std::size_t package_length(std::size_t& at) const {
    const std::size_t first = at, extra = code_.at(at) >> 6;
    std::size_t length = code_.at(at++) & (extra == 0 ? 0x3f : 0x0f);
    for (std::size_t i = 0; i < extra; ++i) length |= std::size_t{code_.at(at++)} << (4 + 8 * i);
    return first + length;
  }
  std::string name(std::size_t& at) const {
    std::string text;
    if (code_.at(at) == '\\') ++at;
    for (int i = 0; i < 4; ++i) text += static_cast<char>(code_.at(at++));
    return text;
  }
  std::size_t value_end(std::size_t at) const {
    switch (code_.at(at++)) {
      case 0x00:
      case 0x01:
        return at;
      case 0x0a:
        return at + 1;
      case 0x0b:
        return at + 2;
      case 0x0c:
        return at + 4;
      case 0x0d:
        while (code_.at(at++) != 0) {
        }
        return at;
      case 0x11:
      case 0x12:
        return package_length(at);
      default:
        FAIL("unknown AML value");
        return at;
    }
  }
  void read_terms(std::size_t at, std::size_t end, const std::string& path) {
    while (at < end) {
      const std::uint8_t operation = code_.at(at++);
      if (operation == 0x14) {  // a method: its code is not read
        at = package_length(at);
        continue;
      }
      if (operation == 0x08) {
        const std::string full = path + name(at);
        const std::size_t stop = value_end(at);
        found_[full] =
            Bytes(code_.begin() + static_cast<std::ptrdiff_t>(at), code_.begin() + static_cast<std::ptrdiff_t>(stop));
        at = stop;
        continue;
      }
      if (operation == 0x5b)
        REQUIRE(code_.at(at++) == 0x82);
      else
        REQUIRE(operation == 0x10);
      const std::size_t stop = package_length(at);
      const std::string inner = path + name(at) + ".";
      read_terms(at, stop, inner);
      at = stop;
    }
    REQUIRE(at == end);
  }

  const Bytes& code_;
  std::map<std::string, Bytes> found_;
};

std::map<std::string, Bytes> objects_of(const BootRequest& request) {
  const aml::Bytes code = dsdt_code(request);
  return AmlReader(code).objects();
}

bool holds(const Bytes& bytes, const Bytes& part) {
  return std::search(bytes.begin(), bytes.end(), part.begin(), part.end()) != bytes.end();
}

}  // namespace

TEST_CASE("every table's checksum is right, for the smallest machine and the largest") {
  for (const auto& request : {machine_of(1, 0), machine_of(64, kVirtioMmioSlots)}) {
    const FoundTables tables(request);
    CHECK(sum({tables.all.begin(), tables.all.begin() + 20}) == 0);
    CHECK(sum({tables.all.begin(), tables.all.begin() + 36}) == 0);
    CHECK(sum(tables.table(tables.at<acpi::Rsdp>(kBase).xsdt)) == 0);
    CHECK(sum(tables.table(tables.at<acpi::Rsdp>(kBase).rsdt)) == 0);
    for (const auto& [signature, address] : tables.from_xsdt) CHECK(sum(tables.table(address)) == 0);
    CHECK(sum(tables.dsdt) == 0);
    CHECK(tables.all.size() <= kAcpiArea.size);
  }
}

TEST_CASE("old kernels find by the RSDT what new ones find by the XSDT") {
  const FoundTables tables(machine_of(2, 2));
  CHECK(tables.from_xsdt == tables.from_rsdt);
  CHECK(tables.from_xsdt.count("FACP") == 1);
  CHECK(tables.from_xsdt.count("APIC") == 1);
}

TEST_CASE("the FADT leads to the ports where the devices are") {
  const FoundTables tables(machine_of(1, 0));
  const auto fadt = tables.at<acpi::Fadt>(tables.from_xsdt.at("FACP"));
  CHECK(+fadt.sci_line == kSciIrq);
  CHECK(+fadt.pm1a_event_port == kAcpiPm1aEventPort);
  CHECK(std::uint64_t{fadt.x_pm1a_event.address} == kAcpiPm1aEventPort);
  CHECK(+fadt.pm1a_control_port == kAcpiPm1aControlPort);
  CHECK(+fadt.pm_timer_port == kAcpiPmTimerPort);
  CHECK(std::uint64_t{fadt.reset_register.address} == kAcpiResetPort);
  CHECK(+fadt.reset_value == kAcpiResetValue);
  CHECK((fadt.flags & acpi::kResetRegisterWorks) != 0);
  CHECK((fadt.flags & acpi::kNoPowerButtonRegister) == 0);
  const auto facs = tables.at<acpi::Facs>(fadt.facs);
  CHECK(facs.signature == acpi::Text4{'F', 'A', 'C', 'S'});
  CHECK(fadt.facs % 64 == 0);
}

TEST_CASE("the MADT has each CPU once, the timer on pin 2 and a level-triggered SCI") {
  const FoundTables tables(machine_of(64, 0));
  const Bytes madt = tables.table(tables.from_xsdt.at("APIC"));
  std::map<unsigned, std::vector<Bytes>> entries;
  for (std::size_t at = sizeof(acpi::Madt); at < madt.size(); at += madt[at + 1]) {
    REQUIRE(madt[at + 1] >= 2);
    const auto begin = madt.begin() + static_cast<std::ptrdiff_t>(at);
    entries[madt[at]].push_back(Bytes(begin, begin + madt[at + 1]));
  }
  REQUIRE(entries[0].size() == 64);
  for (std::size_t cpu = 0; cpu < 64; ++cpu) CHECK(entries[0][cpu][3] == cpu);
  REQUIRE(entries[1].size() == 1);
  CHECK(entries[1][0][7] == 0xfe);  // 0xfec00000
  CHECK(entries[2][0] == Bytes{2, 10, 0, 0, 2, 0, 0, 0, 0, 0});
  CHECK(entries[2][1] == Bytes{2, 10, 0, 9, 9, 0, 0, 0, 0xd, 0});
}

TEST_CASE("the DSDT has one LNRO0005 device for each slot, with its window and its interrupt") {
  const auto objects = objects_of(machine_of(1, kVirtioMmioSlots));
  for (std::size_t i = 0; i < kVirtioMmioSlots; ++i) {
    const std::string device = fmt::format("_SB_.VR{:02X}.", i);
    CHECK(objects.at(device + "_HID") == aml::string("LNRO0005"));
    CHECK(objects.at(device + "_UID") == aml::integer(i));
    const Bytes resources = objects.at(device + "_CRS");
    CHECK(holds(resources, aml::memory_window(static_cast<std::uint32_t>(virtio_mmio_address(i)), kVirtioMmioStride)));
    CHECK(holds(resources, {0x89, 6, 0, 3, 1, static_cast<std::uint8_t>(kVirtioMmioIrqs[i]), 0, 0, 0}));
  }
}

TEST_CASE("the DSDT names no device for an empty slot") {
  const auto objects = objects_of(machine_of(1, 1));
  CHECK(objects.count("_SB_.VR00._HID") == 1);
  CHECK(objects.count("_SB_.VR01._HID") == 0);
}

TEST_CASE("the DSDT tells how to power off, and where COM1 and the clock are") {
  const auto objects = objects_of(machine_of(1, 0));
  CHECK(objects.at("_S5_") == Bytes{0x12, 8, 4, 0x0a, kAcpiSleepTypeS5, 0x0a, kAcpiSleepTypeS5, 0, 0});
  CHECK(objects.at("_SB_.COM1._HID") == Bytes{0x0c, 0x41, 0xd0, 0x05, 0x01});  // PNP0501
  CHECK(holds(objects.at("_SB_.COM1._CRS"), {0x47, 1, 0xf8, 3, 0xf8, 3, 1, 8}));
  CHECK(holds(objects.at("_SB_.COM1._CRS"), {0x22, 1 << 4, 0}));
  CHECK(objects.at("_SB_.RTC_._HID") == Bytes{0x0c, 0x41, 0xd0, 0x0b, 0x00});  // PNP0B00
  CHECK_FALSE(holds(objects.at("_SB_.RTC_._CRS"), {0x22}));
  CHECK(holds(objects.at("_SB_.PEVT._CRS"), {0x47, 1, 0x05, 5, 0x05, 5, 1, 1}));  // the port of pvpanic
}

TEST_CASE("the DSDT points at the generation ID, and notifies of it") {
  const auto objects = objects_of(machine_of(1, 0));
  CHECK(holds(objects.at("_SB_.VGEN._CID"), {'V', 'M', 'G', 'E', 'N', 'C', 'T', 'R', 0}));
  CHECK(objects.at("_SB_.VGEN.ADDR") == Bytes{0x12, 8, 2, 0x0c, 0x10, 0xf1, 0x0e, 0, 0});  // 0xef110
  CHECK(holds(objects.at("_SB_.GED_._CRS"), {0x89, 6, 0, 3, 1, kGenerationIrq, 0, 0, 0}));
  CHECK(holds(dsdt_code(machine_of(1, 0)), {0x14, 0x0d, '_', 'E', 'V', 'T', 1, 0x86, 'V', 'G', 'E', 'N', 0x0a, 0x80}));
}

TEST_CASE("a generation is renewed where there is one, and nothing is touched where there is none") {
  GuestMemory memory(1 << 20);
  CHECK_FALSE(renew_generation(memory));
  CHECK(memory.load<GenerationId>(Gpa(kGenerationAddress)) == GenerationId{});
  place_generation(memory);
  const auto first = memory.load<GenerationId>(Gpa(kGenerationAddress));
  CHECK(first != GenerationId{});
  CHECK(renew_generation(memory));
  CHECK(memory.load<GenerationId>(Gpa(kGenerationAddress)) != first);
}

TEST_CASE("AML package lengths are right on both sides of each of their steps") {
  // The device holds 11 bytes besides the text, and its length counts itself: steps at 64, 4096 and 2^20.
  for (const std::size_t size : {0U, 50U, 51U, 52U, 53U, 4082U, 4083U, 4084U, 4085U, 1048561U, 1048562U, 1048563U}) {
    const aml::Bytes code = aml::device("DEV", {aml::name("TEXT", aml::string(std::string(size, 'x')))});
    const auto objects = AmlReader(code).objects();
    CHECK(objects.at("DEV_.TEXT").size() == size + 2);
  }
}

TEST_CASE("AML integers take the shortest form") {
  CHECK(aml::integer(0) == Bytes{0});
  CHECK(aml::integer(1) == Bytes{1});
  CHECK(aml::integer(0xff) == Bytes{0x0a, 0xff});
  CHECK(aml::integer(0x100) == Bytes{0x0b, 0, 1});
  CHECK(aml::integer(0x10000) == Bytes{0x0c, 0, 0, 1, 0});
  CHECK(aml::integer(0x100000000).size() == 9);
}

/// With acpica-tools at hand, someone else's reader has the last word.
TEST_CASE("iasl takes the DSDT apart without a complaint") {
  if (std::system("command -v iasl >/dev/null 2>&1") != 0) SKIP_TEST("iasl is missing (acpica-tools)");
  const FoundTables tables(machine_of(64, kVirtioMmioSlots));
  const TempFile file(tables.dsdt);
  const std::string listing = file.path().string() + ".dsl", log = file.path().string() + ".log";
  const std::string take_apart =
      "iasl -p " + file.path().string() + " -d " + file.path().string() + " >" + log + " 2>&1";
  const std::string assemble = "iasl -we -p " + file.path().string() + ".out " + listing + " >>" + log + " 2>&1";
  CHECK(std::system(take_apart.c_str()) == 0);
  CHECK(std::system(assemble.c_str()) == 0);
  for (const std::string& name : {listing, log, file.path().string() + ".out.aml"}) std::filesystem::remove(name);
}

}  // namespace tintype
