// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/format/manifest.h"

#include <sys/random.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <set>

#include "checkpoint/format/checkpoint_files.h"
#include "checkpoint/format/json_fields.h"
#include "checkpoint/format/manifest_text.h"
#include "vmm/base/checksum.h"
#include "vmm/base/overflow.h"

namespace tintype {

using json_fields::Json;
using json_fields::Same;

// One list of fields for each struct, for both ways. They stand in namespace tintype, where the compiler
// finds them by their arguments.

void fields(auto& archive, Same<PauseTimes> auto& pause) {
  archive("total", pause.total);
  archive("kick", pause.kick);
  archive("devices", pause.devices);
  archive("disks", pause.disks);
  archive("state", pause.state);
  archive("protect", pause.protect);
  archive("resume", pause.resume);
  archive.later("copy", pause.copy);
}

void fields(auto& archive, Same<FaultTimes> auto& times) {
  archive("p50", times.p50);
  archive("p99", times.p99);
  archive("max", times.max);
}

void fields(auto& archive, Same<MemoryReport> auto& memory) {
  archive("pages_total", memory.pages_total);
  archive("pages_written", memory.pages_written);
  archive("pages_zero", memory.pages_zero);
  archive("bytes_written", memory.bytes_written);
  archive("faults", memory.faults);
  archive("fault_us", memory.fault_us);
  archive("capture_area_peak_bytes", memory.capture_area_peak_bytes);
  archive("capture_area_waits", memory.capture_area_waits);
  archive("rounds", memory.rounds);
}

void fields(auto& archive, Same<DiskReport> auto& disk) {
  archive("id", disk.id);
  archive("bytes_written", disk.bytes_written);
}

void fields(auto& archive, Same<CheckpointReport> auto& report) {
  archive("id", report.id);
  archive.later("identity", report.identity);
  archive("repository", report.repository);
  archive("vm", report.vm);
  archive("strategy", report.strategy);
  archive.later("chosen_because", report.chosen_because);
  archive.later("holds", report.holds);
  archive("parent", report.parent);
  archive.later("compared", report.compared);
  archive("pause_us", report.pause_us);
  archive("memory", report.memory);
  archive("disks", report.disks);
  archive.later("prepare_ms", report.prepare_ms);
  archive("copy_ms", report.copy_ms);
  archive("seal_ms", report.seal_ms);
  archive("total_ms", report.total_ms);
}

void fields(auto& archive, Same<RegionDescription> auto& region) {
  archive("start", region.start);
  archive("size", region.size);
  archive("first_block", region.first_block);
}

void fields(auto& archive, Same<DiskBehaviourDescription> auto& behaviour) {
  archive("cache", behaviour.cache);
  archive("on_error", behaviour.on_error);
  archive("block_size", behaviour.block_size);
  archive("iops", behaviour.iops);
  archive("bytes_per_second", behaviour.bytes_per_second);
}

void fields(auto& archive, Same<DiskDescription> auto& disk) {
  archive("id", disk.id);
  archive("image", disk.image);
  archive("size", disk.size);
  archive("mode", disk.mode);
  archive("read_only", disk.read_only);
  archive("serial", disk.serial);
  archive.later("behaviour", disk.behaviour);
}

void fields(auto& archive, Same<CpuDescription> auto& cpu) {
  archive("vendor", cpu.vendor);
  archive("model", cpu.model);
  archive("features", cpu.features);
}

void fields(auto& archive, Same<MachineDescription> auto& machine) {
  archive("memory", machine.memory);
  archive("cpus", machine.cpus);
  archive("kernel", machine.kernel);
  archive("initrd", machine.initrd);
  archive("append", machine.append);
  archive("regions", machine.regions);
  archive("disks", machine.disks);
  archive("cpu", machine.cpu);
}

void fields(auto& archive, Same<PartDescription> auto& part) {
  archive("name", part.name);
  archive("file", part.file);
  archive("content_bytes", part.summary.content_bytes);
  archive("file_bytes", part.summary.file_bytes);
  archive("data_blocks", part.summary.data_blocks);
  archive.hexadecimal("checksum", part.summary.checksum);
  archive.later("incremental", part.summary.incremental);
}

void fields(auto& archive, Same<Manifest> auto& manifest) {
  archive("id", manifest.id);
  archive.later("identity", manifest.identity);
  archive("vm", manifest.vm);
  archive("time", manifest.time);
  archive("host", manifest.host);
  archive("tintype", manifest.tintype_version);
  archive("parent", manifest.parent);
  archive.later("parent_identity", manifest.parent_identity);
  archive("parts", manifest.parts);
  archive("machine", manifest.machine);
  archive("report", manifest.report);
}

namespace {

// How a manifest begins. The checksum is of all bytes behind the sixteen digits that follow; these here must
// be as they are, so that no byte of the file is without a check.
constexpr std::string_view kBeginning = "{\n  \"checksum\": \"xxh3:";
constexpr std::size_t kDigits = 16;
constexpr std::string_view kChecksumPrefix = "xxh3:";
constexpr std::size_t kIdentityDigits = 32;

template <typename T>
Json to_json(const T& value) {
  json_fields::Writer writer;
  fields(writer, value);
  return writer.take();
}

std::uint64_t checksum_of_rest(std::string_view text) {
  return checksum_of(std::as_bytes(std::span(text.substr(kBeginning.size() + kDigits))));
}

std::string with_checksum(std::string text) {
  text.replace(kBeginning.size(), kDigits, json_fields::hexadecimal_text(checksum_of_rest(text)));
  return text;
}

Json parse(std::string_view text, const std::string& what) {
  Json json = Json::parse(text, nullptr, false);
  if (json.is_discarded() || !json.is_object()) throw ImageError("{} is not a JSON object", what);
  return json;
}

void check_checksum(std::string_view text, const std::string& what) {
  if (!text.starts_with(kBeginning) || text.size() < kBeginning.size() + kDigits) {
    throw ImageError("{} does not begin with its checksum: it is damaged, or no checkpoint's manifest", what);
  }
  const auto digits = text.substr(kBeginning.size(), kDigits);
  if (digits != json_fields::hexadecimal_text(checksum_of_rest(text)))
    throw ImageError("{} is damaged: its checksum does not match", what);
}

std::uint32_t read_format(const Json& json, const std::string& what) {
  const auto format = json.find("format");
  if (format == json.end() || !format->is_number_unsigned()) throw ImageError("{} has no format version", what);
  const auto number = format->get<std::uint64_t>();
  if (number < kOldestManifestFormat || number > kManifestFormat) {
    throw ImageError("{} has format version {}; this version of Tintype reads {} to {}", what, number,
                     kOldestManifestFormat, kManifestFormat);
  }
  return static_cast<std::uint32_t>(number);
}

constexpr std::uint64_t kSectorBytes = 512, kMaximumDiskBytes = INT64_MAX - kBlockSize;
constexpr std::size_t kMaximumSerialBytes = 20;  // virtio-blk has no room for more
constexpr std::size_t kMaximumNameBytes = 64, kMaximumListEntries = 64;

bool is_name_character(char character) {
  return (character >= 'a' && character <= 'z') || (character >= 'A' && character <= 'Z') ||
         (character >= '0' && character <= '9') || character == '-' || character == '_';
}

/// What things of a machine are called, and nothing else: a path it is not.
bool is_name(std::string_view name) {
  return !name.empty() && name.size() <= kMaximumNameBytes && std::ranges::all_of(name, is_name_character);
}

/// A machine's name may have dots, but not in front.
bool is_machine_name(std::string_view name) {
  return !name.empty() && name.size() <= kMaximumNameBytes && name.front() != '.' &&
         std::ranges::all_of(name, [](char character) { return character == '.' || is_name_character(character); });
}

/// The one file that a part of this name lies in.
std::string file_of(const std::string& part) {
  return part == checkpoint_files::kStateName ? checkpoint_files::kState : checkpoint_files::part_file(part);
}

// Names come from the manifest and lead to files: they must not lead anywhere else.
void check_parts(const Manifest& manifest, const std::string& what) {
  if (!is_machine_name(manifest.vm)) throw ImageError("{} has a name for its machine that cannot be", what);
  if (manifest.parts.size() > kMaximumListEntries) throw ImageError("{} names too many parts", what);
  std::set<std::string_view> seen;
  for (const PartDescription& part : manifest.parts) {
    if (!is_name(part.name) || part.file != file_of(part.name))
      throw ImageError("{} names a part {:?} that cannot be", what, part.file);
    if (!seen.insert(part.name).second) throw ImageError("{} has two parts named {}", what, part.name);
  }
}

bool is_identity(std::string_view text) {
  return text.size() == kIdentityDigits && text.find_first_not_of("0123456789abcdef") == text.npos;
}

// Ids that descend from child to parent make no circle.
void check_lineage(const Manifest& manifest, const std::string& what) {
  if (!is_identity(manifest.identity)) throw ImageError("{} has no identity", what);
  const bool child = manifest.parent != 0;
  if (child && manifest.parent >= manifest.id)
    throw ImageError("{} names checkpoint {} as its parent, which is not older", what, manifest.parent);
  if (child != manifest.parent_identity.has_value() || (child && !is_identity(*manifest.parent_identity)))
    throw ImageError("{} does not say rightly what its parent is", what);
  for (const PartDescription& part : manifest.parts) {
    if (part.summary.incremental && (!child || part.name == checkpoint_files::kStateName))
      throw ImageError("{} says that {} holds changes only, and there is nothing that they were made to", what,
                       part.file);
  }
}

/// A manifest of format 1 says nothing of all this.
void complete_oldest(Manifest& manifest, std::string_view text, const std::string& what) {
  if (manifest.parent != 0) throw ImageError("{} names a parent, which format 1 does not know", what);
  manifest.parent_identity.reset();
  manifest.identity =
      std::string(kIdentityDigits - kDigits, '0') + std::string(text.substr(kBeginning.size(), kDigits));
}

void check_disks(const MachineDescription& machine, const std::string& what) {
  std::set<std::string_view> seen;
  if (machine.disks.size() > kMaximumListEntries) throw ImageError("{} describes too many disks", what);
  for (const DiskDescription& disk : machine.disks) {
    const bool reserved = disk.id == checkpoint_files::kMemoryName || disk.id == checkpoint_files::kStateName;
    if (!is_name(disk.id) || reserved || !seen.insert(disk.id).second)
      throw ImageError("{} describes a disk {:?} that cannot be", what, disk.id);
    if (disk.size == 0 || disk.size % kSectorBytes != 0 || disk.size > kMaximumDiskBytes)
      throw ImageError("{} describes a disk of {} bytes, which cannot be", what, disk.size);
    const std::uint32_t block = disk.behaviour.block_size;
    if ((block != 512 && block != 4096) || disk.size % block != 0)
      throw ImageError("{} describes a disk with blocks of {} bytes, which cannot be", what, block);
    if (disk.serial.size() > kMaximumSerialBytes)
      throw ImageError("{} describes a disk with a serial number that is too long", what);
  }
}

void check_regions(const MachineDescription& machine, const std::string& what) {
  if (machine.regions.size() > kMaximumListEntries) throw ImageError("{} describes too many memory regions", what);
  std::uint64_t end = 0, blocks = 0;
  for (const RegionDescription& region : machine.regions) {
    const auto region_end = checked_add(region.start, region.size);
    const bool whole = region.start % kBlockSize == 0 && region.size % kBlockSize == 0 && region.size != 0;
    if (!whole || !region_end || region.start < end || region.first_block != blocks) {
      throw ImageError("{} describes memory regions that cannot be", what);
    }
    end = *region_end;
    blocks += region.size / kBlockSize;
  }
  if (blocks * kBlockSize != machine.memory)
    throw ImageError("{} describes memory regions that are not {} bytes", what, machine.memory);
}

}  // namespace

const PartDescription* Manifest::find_part(std::string_view name) const noexcept {
  const auto found = std::ranges::find(parts, name, &PartDescription::name);
  return found == parts.end() ? nullptr : &*found;
}

std::string encode_manifest(const Manifest& manifest) {
  Json json = Json::object();
  json["checksum"] = std::string(kChecksumPrefix) + std::string(kDigits, '0');
  json["format"] = manifest.format;
  json.update(to_json(manifest));
  if (manifest.format == kOldestManifestFormat) {
    json.erase("identity");
    json.erase("parent_identity");
  }
  std::string text = json.dump(2) + "\n";
  check(text.starts_with(kBeginning), "a manifest begins with its checksum");
  return with_checksum(std::move(text));
}

std::optional<std::string> respelled_manifest(std::string_view text) {
  try {
    if (decode_manifest(text, "the manifest").format == kOldestManifestFormat) return std::nullopt;
  } catch (const ImageError&) {
    return std::nullopt;
  }
  return with_checksum(std::string(text) + "\n");
}

Manifest decode_manifest(std::string_view text, const std::string& what) {
  check_checksum(text, what);
  const Json json = parse(text, what);
  Manifest manifest;
  manifest.format = read_format(json, what);
  json_fields::Reader reader(json, what);
  fields(reader, manifest);
  if (manifest.format == kOldestManifestFormat) complete_oldest(manifest, text, what);
  check_lineage(manifest, what);
  check_parts(manifest, what);
  check_regions(manifest.machine, what);
  check_disks(manifest.machine, what);
  return manifest;
}

std::string report_as_json(const CheckpointReport& report) { return to_json(report).dump(2); }

CheckpointReport report_from_json(std::string_view text) {
  const Json json = parse(text, "the report");
  CheckpointReport report;
  json_fields::Reader reader(json, "the report");
  fields(reader, report);
  return report;
}

std::string new_identity() {
  std::array<std::uint64_t, 2> random{};
  std::size_t done = 0;
  while (done < sizeof random) {
    const auto got = ::getrandom(reinterpret_cast<char*>(random.data()) + done, sizeof random - done, 0);
    if (got < 0 && errno != EINTR) throw_errno("getrandom");
    done += got < 0 ? 0 : static_cast<std::size_t>(got);
  }
  return json_fields::hexadecimal_text(random[0]) + json_fields::hexadecimal_text(random[1]);
}

std::string utc_time_text() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  ::gmtime_r(&now, &parts);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday,
                     parts.tm_hour, parts.tm_min, parts.tm_sec);
}

}  // namespace tintype
