// SPDX-License-Identifier: Apache-2.0
#include "vmm/boot/acpi.h"

#include <numeric>
#include <span>

#include "vmm/base/address_map.h"
#include "vmm/base/error.h"
#include "vmm/base/overflow.h"
#include "vmm/boot/acpi_spec.h"
#include "vmm/boot/generation_id.h"
#include "vmm/boot/placement.h"

namespace tintype {

namespace {

constexpr acpi::Text6 kOemId{'T', 'N', 'T', 'Y', 'P', 'E'};
constexpr acpi::Text8 kOemTableId{'T', 'I', 'N', 'T', 'Y', 'P', 'E', ' '};
constexpr acpi::Text4 kCreatorId{'T', 'N', 'T', 'P'};
constexpr std::size_t kTableAlignment = 16, kFacsAlignment = 64;
constexpr unsigned kMostLocalApics = 255;
constexpr std::uint8_t kPortSpace = 1;

/// Makes the bytes, one of which is `checksum` and still 0, add up to 0.
void seal(std::span<std::byte> bytes, std::byte& checksum) {
  const auto add = [](unsigned sum, std::byte byte) { return sum + std::to_integer<unsigned>(byte); };
  checksum = static_cast<std::byte>(0U - std::accumulate(bytes.begin(), bytes.end(), 0U, add));
}

acpi::Header header(const acpi::Text4& signature, std::uint8_t revision) {
  return {.signature = signature,
          .length = 0,
          .revision = revision,
          .checksum = 0,
          .oem_id = kOemId,
          .oem_table_id = kOemTableId,
          .oem_revision = 1,
          .creator_id = kCreatorId,
          .creator_revision = 1};
}

/// Tables one after another, from `base` on.
class TableBlock {
 public:
  explicit TableBlock(std::uint64_t base) : base_(base) {}

  /// Room for `size` bytes; returns their address.
  std::uint64_t allocate(std::size_t size, std::size_t alignment) {
    const std::size_t offset = align_up(bytes_.size(), alignment);
    bytes_.resize(offset + size);
    return base_ + offset;
  }
  std::span<std::byte> at(std::uint64_t address, std::size_t size) {
    return std::span(bytes_).subspan(address - base_, size);
  }

  /// A table with its length and checksum filled in; returns its address.
  std::uint64_t add_table(std::span<const std::byte> table) {
    const std::uint64_t address = allocate(0, kTableAlignment);
    bytes_.insert(bytes_.end(), table.begin(), table.end());
    store(address + offsetof(acpi::Header, length), static_cast<std::uint32_t>(table.size()));
    const auto bytes = at(address, table.size());
    seal(bytes, bytes[offsetof(acpi::Header, checksum)]);
    return address;
  }
  template <typename T>
  void store(std::uint64_t address, const T& value) {
    std::ranges::copy(bytes_of(value), at(address, sizeof value).begin());
  }
  std::vector<std::byte> take() { return std::move(bytes_); }

 private:
  std::uint64_t base_;
  std::vector<std::byte> bytes_;
};

template <typename T>
void append(std::vector<std::byte>& bytes, const T& value) {
  const auto more = bytes_of(value);
  bytes.insert(bytes.end(), more.begin(), more.end());
}

aml::Bytes virtio_device(std::size_t index, const VirtioSlot& slot) {
  check(slot.base + slot.size <= UINT32_MAX, "virtio-mmio windows lie below 4 GiB");
  const auto resources = aml::resource_template(
      {aml::memory_window(static_cast<std::uint32_t>(slot.base), static_cast<std::uint32_t>(slot.size)),
       aml::interrupt(slot.irq)});
  return aml::device(fmt::format("VR{:02X}", index),
                     {aml::name("_HID", aml::string("LNRO0005")), aml::name("_UID", aml::integer(index)),
                      aml::name("_CRS", resources)});
}

aml::Bytes serial_device() {
  return aml::device("COM1", {aml::name("_HID", aml::eisa_id("PNP0501")), aml::name("_UID", aml::integer(1)),
                              aml::name("_CRS", aml::resource_template({aml::io_ports(kCom1Port, kCom1PortCount),
                                                                        aml::isa_interrupt(kCom1Irq)}))});
}

/// It names no interrupt because the clock raises none.
aml::Bytes clock_device() {
  return aml::device("RTC", {aml::name("_HID", aml::eisa_id("PNP0B00")),
                             aml::name("_CRS", aml::resource_template({aml::io_ports(kRtcPort, kRtcPortCount)}))});
}

/// Linux's driver wants to be told that it is present and works.
aml::Bytes panic_device() {
  constexpr std::uint64_t kPresentAndWorking = 0xf;
  return aml::device("PEVT", {aml::name("_HID", aml::string("QEMU0001")),
                              aml::name("_CRS", aml::resource_template({aml::io_ports(kPvpanicPort, 1)})),
                              aml::name("_STA", aml::integer(kPresentAndWorking))});
}

/// The two names are Microsoft's, old and new; ADDR is a 64-bit address in two halves.
aml::Bytes generation_device() {
  const aml::Bytes low = aml::integer(kGenerationAddress & 0xffffffff), high = aml::integer(kGenerationAddress >> 32);
  return aml::device("VGEN",
                     {aml::name("_HID", aml::string("TNTP0001")),
                      aml::name("_CID", aml::package({aml::string("VM_Gen_Counter"), aml::string("VMGENCTR")})),
                      aml::name("_DDN", aml::string("VM_Gen_Counter")), aml::name("ADDR", aml::package({low, high}))});
}

/// A generic event device: an edge on its line is the generation's notification.
aml::Bytes event_device() {
  constexpr std::uint64_t kChanged = 0x80;
  return aml::device("GED", {aml::name("_HID", aml::string("ACPI0013")),
                             aml::name("_CRS", aml::resource_template({aml::interrupt(kGenerationIrq)})),
                             aml::method("_EVT", 1, aml::notify("VGEN", kChanged))});
}

std::vector<std::byte> dsdt(const BootRequest& request) {
  std::vector<std::byte> table;
  append(table, header({'D', 'S', 'D', 'T'}, 2));  // 2: integers have 64 bits
  const aml::Bytes code = dsdt_code(request);
  const auto bytes = std::as_bytes(std::span(code));
  table.insert(table.end(), bytes.begin(), bytes.end());
  return table;
}

std::vector<std::byte> madt(unsigned cpus) {
  check(cpus >= 1 && cpus <= kMostLocalApics, "local APIC ids fit into a byte");
  std::vector<std::byte> table;
  append(table, acpi::Madt{header({'A', 'P', 'I', 'C'}, 4), static_cast<std::uint32_t>(kLocalApicBase), 1});
  for (unsigned cpu = 0; cpu < cpus; ++cpu) {
    const auto id = static_cast<std::uint8_t>(cpu);
    append(table, acpi::MadtLocalApic{.processor_uid = id, .apic_id = id});
  }
  append(table, acpi::MadtIoApic{.address = static_cast<std::uint32_t>(kIoApicBase)});
  append(table, acpi::MadtOverride{.line = 0, .gsi = kTimerIoApicPin});
  append(table,
         acpi::MadtOverride{.line = kSciIrq, .gsi = kSciIrq, .flags = acpi::kActiveHigh | acpi::kLevelTriggered});
  append(table, acpi::MadtNmi{});
  return table;
}

acpi::GenericAddress ports(std::uint16_t first, unsigned bytes) {
  const auto width = static_cast<std::uint8_t>(bytes * 8);
  return {.space = kPortSpace, .bit_width = width, .bit_offset = 0, .access_size = 0, .address = first};
}

void describe_power_ports(acpi::Fadt& fadt) {
  fadt.pm1a_event_port = kAcpiPm1aEventPort;
  fadt.pm1a_control_port = kAcpiPm1aControlPort;
  fadt.pm_timer_port = kAcpiPmTimerPort;
  fadt.pm1_event_length = kAcpiPm1aEventLength;
  fadt.pm1_control_length = kAcpiPm1aControlLength;
  fadt.pm_timer_length = kAcpiPmTimerLength;
  fadt.x_pm1a_event = ports(kAcpiPm1aEventPort, kAcpiPm1aEventLength);
  fadt.x_pm1a_control = ports(kAcpiPm1aControlPort, kAcpiPm1aControlLength);
  fadt.x_pm_timer = ports(kAcpiPmTimerPort, kAcpiPmTimerLength);
}

/// Fixed hardware, not "hardware-reduced": a stock kernel gets its power button, its timer and its way to
/// power off without a driver.
acpi::Fadt fadt(std::uint64_t facs, std::uint64_t dsdt) {
  acpi::Fadt fadt{};
  fadt.header = header({'F', 'A', 'C', 'P'}, 6);
  fadt.facs = static_cast<std::uint32_t>(facs);
  fadt.dsdt = static_cast<std::uint32_t>(dsdt);
  fadt.x_dsdt = dsdt;
  fadt.sci_line = kSciIrq;
  fadt.c2_latency = acpi::kNoC2;
  fadt.c3_latency = acpi::kNoC3;
  fadt.century = kRtcCenturyRegister;
  // No i8042 although its reset port answers: a kernel that looks for a keyboard wastes half a second.
  fadt.boot_architecture = acpi::kHasLegacyDevices | acpi::kNoVga | acpi::kNoMsi;
  fadt.flags = acpi::kWbinvdWorks | acpi::kC1Works | acpi::kNoSleepButtonRegister | acpi::kNoClockWakeRegister |
               acpi::kResetRegisterWorks;
  fadt.reset_register = ports(kAcpiResetPort, 1);
  fadt.reset_value = kAcpiResetValue;
  describe_power_ports(fadt);
  return fadt;
}

std::uint64_t add_facs(TableBlock& block) {
  const std::uint64_t address = block.allocate(sizeof(acpi::Facs), kFacsAlignment);
  acpi::Facs facs{};
  facs.signature = {'F', 'A', 'C', 'S'};
  facs.length = sizeof facs;
  facs.version = 2;
  block.store(address, facs);
  return address;
}

/// A table of tables, with entries of 4 (RSDT) or 8 bytes (XSDT).
template <typename Entry>
std::uint64_t add_root(TableBlock& block, const acpi::Text4& signature, std::initializer_list<std::uint64_t> tables) {
  std::vector<std::byte> table;
  append(table, header(signature, 1));
  for (const std::uint64_t address : tables) append(table, static_cast<Entry>(address));
  return block.add_table(table);
}

acpi::Rsdp rsdp(std::uint64_t rsdt, std::uint64_t xsdt) {
  acpi::Rsdp rsdp{};
  rsdp.signature = {'R', 'S', 'D', ' ', 'P', 'T', 'R', ' '};
  rsdp.oem_id = kOemId;
  rsdp.revision = 2;
  rsdp.rsdt = static_cast<std::uint32_t>(rsdt);
  rsdp.length = sizeof rsdp;
  rsdp.xsdt = xsdt;
  const auto bytes = std::as_writable_bytes(std::span(&rsdp, 1));
  seal(bytes.first(acpi::kRsdpFirstPart), bytes[offsetof(acpi::Rsdp, checksum)]);
  seal(bytes, bytes[offsetof(acpi::Rsdp, extended_checksum)]);
  return rsdp;
}

}  // namespace

aml::Bytes dsdt_code(const BootRequest& request) {
  aml::Bytes devices =
      aml::join({serial_device(), clock_device(), panic_device(), generation_device(), event_device()});
  for (std::size_t i = 0; i < request.slots.size(); ++i)
    devices = aml::join({devices, virtio_device(i, request.slots[i])});
  const aml::Bytes type = aml::integer(kAcpiSleepTypeS5);
  return aml::join(
      {aml::scope("\\_SB", devices), aml::name("\\_S5", aml::package({type, type, aml::integer(0), aml::integer(0)}))});
}

std::vector<std::byte> acpi_tables(std::uint64_t base, const BootRequest& request) {
  TableBlock block(base);
  const std::uint64_t rsdp_address = block.allocate(sizeof(acpi::Rsdp), kTableAlignment);
  const std::uint64_t facs = add_facs(block);
  const std::uint64_t dsdt_address = block.add_table(dsdt(request));
  const std::uint64_t fadt_address = block.add_table(bytes_of(fadt(facs, dsdt_address)));
  const std::uint64_t madt_address = block.add_table(madt(request.cpus));
  // Both roots: XSDT for the present, RSDT for small kernels that know only ACPI 1.0.
  const std::uint64_t rsdt = add_root<std::uint32_t>(block, {'R', 'S', 'D', 'T'}, {fadt_address, madt_address});
  const std::uint64_t xsdt = add_root<std::uint64_t>(block, {'X', 'S', 'D', 'T'}, {fadt_address, madt_address});
  block.store(rsdp_address, rsdp(rsdt, xsdt));
  return block.take();
}

}  // namespace tintype
