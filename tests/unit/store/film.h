// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <charconv>
#include <optional>
#include <random>
#include <sstream>

#include "checkpoint/store/checkpoint_reader.h"
#include "checkpoint/store/checkpoint_writer.h"
#include "checkpoint/store/repository.h"
#include "tests/unit/format/sample_manifest.h"
#include "tests/unit/format/scratch.h"

namespace tintype::checkpoint_test {

// Checkpoints that build on each other, of a small machine whose memory and disk change a little from one to the next.
// What changes follows from the checkpoint's id alone, and each one's manifest names the ids of all that it was built
// on. So whoever finds a checkpoint, in whatever repository and whatever was deleted or merged meanwhile, knows what
// must be in it.
namespace film {

inline constexpr std::uint64_t kBlocks = 96, kDiskBytes = 40 * kBlockSize + 512;

struct Picture {
  Bytes memory = Bytes(kBlocks * kBlockSize), disk = Bytes(kDiskBytes);
};

/// A few blocks, some of which become zero.
struct Change {
  bool disk = false;
  std::uint64_t block = 0;
  Bytes data;
};

inline std::vector<Change> changes_of(std::uint64_t id) {
  std::mt19937_64 random(id);
  std::vector<Change> changes;
  std::uint64_t memory = random() % 8, disk = random() % 8;
  while (memory < kBlocks - 8 || disk < 32) {
    std::uint64_t& block = memory < kBlocks - 8 ? memory : disk;
    const std::uint64_t count = 1 + random() % 6;
    Change change{&block == &disk, block,
                  random() % 2 == 0 ? noise(count, static_cast<unsigned>(random()))
                                    : pattern(count, static_cast<unsigned>(random() % 99))};
    for (std::uint64_t i = 0; i < count; ++i)
      if (random() % 4 == 0) std::ranges::fill(block_of(change.data, i), std::byte{0});
    block += count + random() % 30;
    changes.push_back(std::move(change));
  }
  return changes;
}

inline void apply(std::uint64_t id, Picture& picture) {
  for (const Change& change : changes_of(id)) {
    std::ranges::copy(change.data, (change.disk ? picture.disk : picture.memory).begin() +
                                       static_cast<std::ptrdiff_t>(change.block * kBlockSize));
  }
}

inline std::string ids_text(const std::vector<std::uint64_t>& ids) {
  std::string text;
  for (const std::uint64_t id : ids) text += fmt::format("{} ", id);
  return text;
}

inline std::vector<std::uint64_t> ids_in(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::uint64_t> ids;
  for (std::uint64_t id = 0; stream >> id;) ids.push_back(id);
  return ids;
}

inline MachineDescription machine() {
  MachineDescription machine;
  machine.memory = kBlocks * kBlockSize;
  machine.cpus = 1;
  machine.regions = {{0, kBlocks * kBlockSize, 0}};
  machine.disks = {{"disk0", "/images/a.img", kDiskBytes, "persistent", false, "disk0"}};
  return machine;
}

inline void write_all(BlockSink& sink, Bytes& content, std::uint64_t bytes) {
  sink.append(0, std::span(content).first(bytes));
}

/// The next picture, built on `parent`, or whole.
inline Manifest take(const std::filesystem::path& repository, const std::optional<Manifest>& parent,
                     Compression codec = Compression::kNone, std::shared_ptr<KnownManifests> known = {}) {
  NewCheckpoint wanted{repository, codec, kBlocks * kBlockSize, machine().disks, 0};
  if (parent) wanted.parent = ParentRef{parent->id, parent->identity};
  wanted.known = std::move(known);
  CheckpointWriter writer(wanted);
  auto ids = parent ? ids_in(parent->machine.append) : std::vector<std::uint64_t>();
  ids.push_back(writer.id());
  if (parent) {
    for (const Change& change : changes_of(writer.id()))
      (change.disk ? writer.disk_part("disk0") : writer.memory_part()).append(change.block, change.data);
  } else {
    Picture picture;
    apply(writer.id(), picture);
    write_all(writer.memory_part(), picture.memory, picture.memory.size());
    write_all(writer.disk_part("disk0"), picture.disk, kDiskBytes);
  }
  writer.write_state({});
  writer.sync();
  Manifest manifest;
  manifest.vm = "film";
  manifest.machine = machine();
  manifest.machine.append = ids_text(ids);
  return writer.seal(manifest);
}

/// What is wrong with a checkpoint; nothing: it shows what it must.
inline std::string fault(const std::filesystem::path& repository, std::uint64_t id) {
  try {
    const CheckpointReader reader(repository, id);
    Picture picture;
    for (const std::uint64_t each : ids_in(reader.manifest().machine.append)) apply(each, picture);
    if (!same(content_of(reader.memory()), picture.memory)) return fmt::format("checkpoint {} has another memory", id);
    if (!same(content_of(*reader.disk("disk0")), picture.disk))
      return fmt::format("checkpoint {} has another disk", id);
    return {};
  } catch (const std::exception& error) {
    return error.what();
  }
}

/// Of all that are listed.
inline std::string first_fault(const std::filesystem::path& repository) {
  for (const std::uint64_t id : open_store(repository)->ids()) {
    if (std::string text = fault(repository, id); !text.empty()) return text;
  }
  return {};
}

}  // namespace film
}  // namespace tintype::checkpoint_test
