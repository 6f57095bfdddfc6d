// SPDX-License-Identifier: Apache-2.0
#include "guest-images/runtime/acpi.h"

#include "guest-images/runtime/boot_info.h"
#include "guest-images/runtime/cpu.h"
#include "guest-images/runtime/options.h"

namespace tintype::guest {
namespace {

constexpr std::uint64_t kBiosArea = 0xe0000;
constexpr std::uint64_t kBiosAreaEnd = 0x100000;
constexpr std::uint64_t kMapped = std::uint64_t{4} << 30;

// ACPI 6.5, 5.2.5.3: the root pointer.
struct [[gnu::packed]] RootPointer {
  char signature[8];
  std::uint8_t checksum;
  char oem[6];
  std::uint8_t revision;
  std::uint32_t rsdt;
  std::uint32_t length;
  std::uint64_t xsdt;
};
constexpr std::uint32_t kOldRootPointerSize = 20;

// 5.2.6: what every table begins with.
struct [[gnu::packed]] TableHeader {
  char signature[4];
  std::uint32_t length;
  std::uint8_t unused[28];
};
static_assert(sizeof(TableHeader) == 36);

// 5.2.12: entries follow the header and eight bytes.
constexpr std::uint32_t kMadtEntries = sizeof(TableHeader) + 8;
constexpr std::uint8_t kLocalApic = 0;
constexpr std::uint32_t kEnabled = 1;

template <typename T>
T load(std::uint64_t address) {
  T value;
  __builtin_memcpy(&value, reinterpret_cast<const void*>(address), sizeof(T));
  return value;
}

bool sums_to_zero(std::uint64_t address, std::uint64_t size) {
  std::uint8_t sum = 0;
  for (std::uint64_t i = 0; i != size; ++i) sum = static_cast<std::uint8_t>(sum + load<std::uint8_t>(address + i));
  return sum == 0;
}

bool is_root_pointer(std::uint64_t address) {
  const auto root = load<RootPointer>(address);
  return Text(root.signature, 8) == Text("RSD PTR ") && sums_to_zero(address, kOldRootPointerSize);
}

std::uint64_t find_root_pointer() {
  const std::uint64_t told = boot_info().rsdp;
  if (told != 0 && told < kMapped && is_root_pointer(told)) return told;
  for (std::uint64_t address = kBiosArea; address != kBiosAreaEnd; address += 16)
    if (is_root_pointer(address)) return address;
  return 0;
}

bool is_table(std::uint64_t address, Text signature) {
  if (address == 0 || address >= kMapped) return false;
  const auto header = load<TableHeader>(address);
  return Text(header.signature, 4) == signature && sums_to_zero(address, header.length);
}

// The table with this signature, or 0.
std::uint64_t find_table(Text signature) {
  const std::uint64_t root_address = find_root_pointer();
  if (root_address == 0) return 0;
  const auto root = load<RootPointer>(root_address);
  const bool wide = root.revision >= 2 && root.xsdt != 0;
  const std::uint64_t list = wide ? root.xsdt : root.rsdt;
  if (!is_table(list, wide ? "XSDT" : "RSDT")) return 0;
  const std::uint64_t end = list + load<TableHeader>(list).length;
  for (std::uint64_t at = list + sizeof(TableHeader); at < end; at += wide ? 8 : 4) {
    const std::uint64_t table = wide ? load<std::uint64_t>(at) : load<std::uint32_t>(at);
    if (is_table(table, signature)) return table;
  }
  return 0;
}

void add(CpuList& list, std::uint32_t apic_id) {
  if (list.count != MAX_CPUS) list.apic_ids[list.count++] = apic_id;
}

std::uint32_t own_apic_id() { return mmio_read32(LAPIC_BASE + 0x20) >> 24; }

// 20.2.3: an integer of AML's, and how long it is; no length where it is none.
struct AmlInteger {
  std::uint64_t value = 0;
  std::uint32_t length = 0;
};
AmlInteger aml_integer(std::uint64_t at) {
  const auto prefix = load<std::uint8_t>(at);
  if (prefix <= 1) return {prefix, 1};
  const std::uint32_t size = prefix == 0x0a ? 1 : prefix == 0x0b ? 2 : prefix == 0x0c ? 4 : prefix == 0x0e ? 8 : 0;
  if (size == 0) return {};
  std::uint64_t value = 0;
  for (std::uint32_t i = 0; i != size; ++i) value |= std::uint64_t{load<std::uint8_t>(at + 1 + i)} << (8 * i);
  return {value, 1 + size};
}

// Name (ADDR, Package () {low, high}) and nothing else is called so in these tables: looked for as bytes, which spares
// an interpreter.
constexpr std::uint8_t kNamedPackage[] = {0x08, 'A', 'D', 'D', 'R', 0x12};

bool begins_here(std::uint64_t at) {
  for (std::uint32_t i = 0; i != sizeof(kNamedPackage); ++i)
    if (load<std::uint8_t>(at + i) != kNamedPackage[i]) return false;
  return load<std::uint8_t>(at + sizeof(kNamedPackage) + 1) == 2;  // elements, after one byte of length
}

}  // namespace

std::uint64_t find_generation() {
  constexpr std::uint64_t kDsdtField = 40;
  const std::uint64_t fadt = find_table("FACP");
  const std::uint64_t dsdt = fadt == 0 ? 0 : load<std::uint32_t>(fadt + kDsdtField);
  if (!is_table(dsdt, "DSDT")) return 0;
  const std::uint64_t end = dsdt + load<TableHeader>(dsdt).length;
  for (std::uint64_t at = dsdt + sizeof(TableHeader); at + 32 < end; ++at) {
    if (!begins_here(at)) continue;
    const AmlInteger low = aml_integer(at + sizeof(kNamedPackage) + 2);
    const AmlInteger high = aml_integer(at + sizeof(kNamedPackage) + 2 + low.length);
    const std::uint64_t address = high.value << 32 | low.value;
    return low.length != 0 && high.length != 0 && address < kMapped ? address : 0;
  }
  return 0;
}

CpuList find_cpus() {
  CpuList list;
  const std::uint64_t madt = find_table("APIC");
  if (madt == 0) {
    const std::uint64_t cpus = number_option("cpus", 1);
    for (std::uint32_t id = 0; id != cpus; ++id) add(list, id);
    return list;
  }
  add(list, own_apic_id());
  const std::uint64_t end = madt + load<TableHeader>(madt).length;
  for (std::uint64_t at = madt + kMadtEntries; at + 2 <= end;) {
    const auto type = load<std::uint8_t>(at);
    const auto size = load<std::uint8_t>(at + 1);
    const auto apic_id = load<std::uint8_t>(at + 3);
    if (type == kLocalApic && (load<std::uint32_t>(at + 4) & kEnabled) && apic_id != own_apic_id()) add(list, apic_id);
    if (size == 0) break;
    at += size;
  }
  return list;
}

}  // namespace tintype::guest
