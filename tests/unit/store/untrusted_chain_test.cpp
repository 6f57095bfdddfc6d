// SPDX-License-Identifier: Apache-2.0
// Chains that somebody else has put together: refused in a sentence, by who reads them and by verify, and never built
// on.
#include <sys/resource.h>

#include <algorithm>
#include <fstream>
#include <functional>

#include <doctest/doctest.h>

#include "checkpoint/format/part_writer.h"
#include "checkpoint/store/open_checkpoint.h"
#include "checkpoint/store/operations.h"
#include "checkpoint/store/verify.h"
#include "tests/unit/store/film.h"

namespace tintype {
namespace {

using namespace checkpoint_test;
namespace fs = std::filesystem;

void change_manifest(const fs::path& repository, std::uint64_t id, const std::function<void(Manifest&)>& change) {
  const fs::path directory = Repository::open(repository).directory_of(id);
  Manifest manifest = read_manifest(directory, id);
  change(manifest);
  std::ofstream(directory / "checkpoint.json", std::ios::binary | std::ios::trunc) << encode_manifest(manifest);
}

PartDescription& memory_of(Manifest& manifest) {
  return *std::ranges::find(manifest.parts, "memory", &PartDescription::name);
}

/// Puts another memory part, empty, into a checkpoint, and its numbers into the manifest, which says whether it is of
/// changes as it likes.
void replace_memory(const fs::path& repository, std::uint64_t id, const PartOptions& options, bool said_incremental) {
  const fs::path path = Repository::open(repository).directory_of(id) / "memory.part";
  fs::remove(path);
  PartWriter writer(path, options);
  writer.finish();
  change_manifest(repository, id, [&](Manifest& manifest) {
    memory_of(manifest).summary = writer.summary();
    memory_of(manifest).summary.incremental = said_incremental;
  });
}

/// Three that build on each other, of which one is changed: the last is refused with `why` in the sentence. Nothing can
/// build on it, where that can be seen without a look into the parts.
void check_refused(const char* why, const std::function<void(const fs::path&)>& change, bool seen_by_writers = true) {
  CAPTURE(why);
  const ScratchDirectory scratch(quick_directory());
  const fs::path repository = scratch / "r";
  std::optional<Manifest> last;
  for (int i = 0; i < 3; ++i) last = film::take(repository, last);
  REQUIRE(film::first_fault(repository).empty());
  change(repository);
  CHECK_THROWS_WITH_AS(CheckpointReader(repository, 3), doctest::Contains(why), ImageError);
  CHECK_FALSE(verify_checkpoints(repository, 3).good());
  CHECK_FALSE(verify_checkpoints(repository, std::nullopt).good());
  if (seen_by_writers) CHECK_THROWS_AS(film::take(repository, last), ParentGone);
}

constexpr std::uint64_t kMemoryBytes = film::kBlocks * kBlockSize;

}  // namespace

TEST_CASE("a chain that is a circle, or leads to a younger one") {
  check_refused("not older", [](const fs::path& repository) {
    change_manifest(repository, 2, [](Manifest& manifest) { manifest.parent = 3; });
  });
  check_refused("not older", [](const fs::path& repository) {
    change_manifest(repository, 3, [](Manifest& manifest) { manifest.parent = 3; });
  });
}

TEST_CASE("a parent that is missing, or another one than was meant") {
  check_refused("builds on checkpoint 1, which is not in",
                [](const fs::path& repository) { fs::remove_all(repository / "00000001"); });
  check_refused("builds on another checkpoint 1", [](const fs::path& repository) {
    change_manifest(repository, 1, [](Manifest& manifest) { manifest.identity = new_identity(); });
  });
  check_refused("builds on another checkpoint 1", [](const fs::path& repository) {
    change_manifest(repository, 2, [](Manifest& manifest) { manifest.parent_identity = new_identity(); });
  });
  check_refused("what its parent is", [](const fs::path& repository) {
    change_manifest(repository, 2, [](Manifest& manifest) { manifest.parent_identity.reset(); });
  });
  check_refused("what its parent is", [](const fs::path& repository) {
    change_manifest(repository, 2, [](Manifest& manifest) { manifest.parent_identity = std::string(32, 'Z'); });
  });
}

TEST_CASE("a parent whose memory has another size") {
  check_refused("bytes in checkpoint", [](const fs::path& repository) {
    replace_memory(repository, 1, {PartKind::kMemory, kMemoryBytes + kBlockSize, Compression::kNone, false}, false);
    change_manifest(repository, 1, [](Manifest& manifest) {
      manifest.machine.memory += kBlockSize;
      manifest.machine.regions[0].size += kBlockSize;
    });
  });
}

TEST_CASE("changes that were made to nothing") {
  check_refused("holds changes only", [](const fs::path& repository) {
    replace_memory(repository, 1, {PartKind::kMemory, kMemoryBytes, Compression::kNone, true}, true);
  });
  check_refused(
      "is not the one that belongs",
      [](const fs::path& repository) {
        replace_memory(repository, 1, {PartKind::kMemory, kMemoryBytes, Compression::kNone, true}, false);
      },
      false);
  check_refused(
      "is not the one that belongs",
      [](const fs::path& repository) {
        change_manifest(repository, 2, [](Manifest& manifest) { memory_of(manifest).summary.incremental = false; });
      },
      false);
  check_refused("which they were made to, has none", [](const fs::path& repository) {
    change_manifest(repository, 1, [](Manifest& manifest) {
      std::erase_if(manifest.parts, [](const PartDescription& part) { return part.name == "disk0"; });
      manifest.machine.disks.clear();
    });
  });
}

TEST_CASE("a manifest of format 1 with what only format 2 knows") {
  check_refused("format 1 does not know", [](const fs::path& repository) {
    change_manifest(repository, 2, [](Manifest& manifest) { manifest.format = 1; });
  });
  check_refused("holds changes only", [](const fs::path& repository) {
    change_manifest(repository, 3, [](Manifest& manifest) {
      manifest.format = 1;
      manifest.parent = 0;
    });
  });
}

TEST_CASE("a chain of two hundred is opened at once, and every one of it shows what it must") {
  const ScratchDirectory scratch(quick_directory());
  const fs::path repository = scratch / "r";
  struct rlimit limit {};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &limit) == 0);
  if (limit.rlim_max > 1024) {
    limit.rlim_cur = 256;  // fewer than the chain has files
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &limit) == 0);
  }
  std::optional<Manifest> last;
  for (int i = 0; i < 200; ++i) last = film::take(repository, last, Compression::kLz4);
  for (const std::uint64_t id : {200, 199, 100, 1}) CHECK(film::fault(repository, id) == "");
  CHECK(verify_checkpoints(repository, 200).checkpoints == 200);
}

}  // namespace tintype
