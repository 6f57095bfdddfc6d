// SPDX-License-Identifier: Apache-2.0
// A checkpoint.json that somebody else wrote. The input is its text; it is read as it is, and once more with its
// checksum set right, so that a change of one byte is not the end of it.
#include <cstring>
#include <optional>
#include <string>

#include "checkpoint/format/json_fields.h"
#include "checkpoint/format/manifest.h"
#include "tests/fuzz/generator.h"
#include "tests/fuzz/promise.h"
#include "vmm/base/checksum.h"
#include "vmm/base/error.h"
#include "vmm/machine/describe.h"

namespace tintype {
namespace {

constexpr std::size_t kDigitsStart = sizeof "{\n  \"checksum\": \"xxh3:" - 1, kDigits = 16;

Manifest sample_manifest(std::mt19937_64& random) {
  Manifest manifest;
  manifest.id = 1 + random() % 3;
  manifest.identity = new_identity();
  if (random() % 4 == 0) manifest.format = kOldestManifestFormat;
  manifest.vm = "vm";
  manifest.time = utc_time_text();
  manifest.parts = {{"memory", "memory.part", {1 << 20, 5000, random(), 7}},
                    {"state", "machine.state", {0, 900, 1, 0}}};
  manifest.machine.memory = 1 << 20;
  manifest.machine.cpus = static_cast<std::uint32_t>(1 + random() % 4);
  manifest.machine.regions = {{0, 1 << 20, 0}};
  if (random() % 2 == 0) manifest.machine.append = "caf\xe9";
  if (random() % 2 == 0) {
    manifest.machine.disks = {{"disk0", "/a.img", 4096, "undoable", random() % 2 == 0, "serial"}};
    manifest.parts.push_back({"disk0", "disk0.part", {4096, 4200, 3, 1}});
    manifest.report.disks = {{"disk0", 123}};
  }
  if (manifest.format == kManifestFormat && manifest.id > 1 && random() % 2 == 0) {
    manifest.parent = 1;
    manifest.parent_identity = new_identity();
    manifest.parts[0].summary.incremental = true;
  }
  return manifest;
}

std::string seal(std::string text) {
  if (text.size() < kDigitsStart + kDigits) return text;
  const auto rest = std::as_bytes(std::span(text)).subspan(kDigitsStart + kDigits);
  return text.replace(kDigitsStart, kDigits, json_fields::hexadecimal_text(checksum_of(rest)));
}

std::optional<Manifest> read(const std::string& text) {
  try {
    return decode_manifest(text, "input");
  } catch (const ImageError&) {
    return std::nullopt;
  }
}

/// What a restore does with a manifest before it makes anything.
void use(const Manifest& manifest) {
  const std::string text = encode_manifest(manifest);
  const auto again = read(text);
  if (!again || encode_manifest(*again) != text)
    broken_promise("a manifest that is taken can be written and read again");
  for (const PartDescription& part : manifest.parts) {
    if (part.file.find('/') != std::string::npos) broken_promise("a part lies in the checkpoint's directory");
    if (manifest.find_part(part.name) != &part) broken_promise("a part is found by its name");
  }
  try {
    const MachineConfig config = config_from(manifest.machine);
    if (config.disks.size() != manifest.machine.disks.size()) broken_promise("every disk is configured");
  } catch (const Error&) {
  }
}

}  // namespace

std::vector<std::uint8_t> generate_input(std::mt19937_64& random) {
  const std::string text = encode_manifest(sample_manifest(random));
  return {text.begin(), text.end()};
}

}  // namespace tintype

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tintype;
  const std::string text(data, data + size);
  for (const std::string& each : {text, seal(text)}) {
    if (const auto manifest = read(each)) use(*manifest);
  }
  return 0;
}
