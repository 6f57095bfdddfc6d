// SPDX-License-Identifier: Apache-2.0
// A plug-in of nbdkit: a disk of a checkpoint, read-only, for everything that speaks NBD (nbdkit-plugin(3)).
#include <charconv>
#include <exception>
#include <memory>
#include <optional>
#include <string>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "checkpoint/nbd/cached_source.h"
#include "checkpoint/store/checkpoint_reader.h"

namespace {

using tintype::CachedSource;
using tintype::CheckpointReader;

/// What `nbdkit PLUGIN KEY=VALUE...` was given, and what came of it. nbdkit has one of each plug-in in a process.
struct Served {
  std::string repository, disk = "disk0";
  std::optional<std::uint64_t> id;
  std::unique_ptr<CheckpointReader> checkpoint;
  std::unique_ptr<CachedSource> source;
};
Served served;

/// No exception may reach nbdkit, which is C.
template <typename Work>
int guarded(const Work& work) noexcept {
  try {
    work();
    return 0;
  } catch (const std::exception& error) {
    nbdkit_error("%s", error.what());
    nbdkit_set_error(EIO);
    return -1;
  }
}

int config(const char* key, const char* value) {
  return guarded([&] {
    const std::string_view name = key, text = value;
    if (name == "repository") {
      served.repository = text;
    } else if (name == "disk") {
      served.disk = text;
    } else if (name == "id") {
      std::uint64_t id = 0;
      const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), id);
      if (failure != std::errc() || end != text.data() + text.size()) throw tintype::Error("id must be a number");
      served.id = id;
    } else {
      throw tintype::Error("there is no key {}: give repository=, id= and disk=", name);
    }
  });
}

int config_complete() {
  return guarded([] {
    if (served.repository.empty()) throw tintype::Error("say where the checkpoint lies: repository=DIRECTORY");
  });
}

// In the process that serves: from here on all files are open, and the checkpoint may be deleted.
int after_fork() {
  return guarded([] {
    served.checkpoint = std::make_unique<CheckpointReader>(served.repository, served.id);
    served.checkpoint->require(tintype::Portion::kDisks);
    const tintype::BlockSource* disk = served.checkpoint->disk(served.disk);
    if (disk == nullptr) throw tintype::Error("checkpoint {} has no {}", served.checkpoint->manifest().id, served.disk);
    served.source = std::make_unique<CachedSource>(*disk);
  });
}

void unload() {
  served.source.reset();
  served.checkpoint.reset();
}

void* open(int) { return &served; }
std::int64_t get_size(void*) { return static_cast<std::int64_t>(served.source->bytes()); }
int yes(void*) { return 1; }
int no(void*) { return 0; }

int pread(void*, void* into, std::uint32_t count, std::uint64_t offset, std::uint32_t) {
  return guarded([&] { served.source->read(offset, {static_cast<std::byte*>(into), count}); });
}

int extents(void*, std::uint32_t count, std::uint64_t offset, std::uint32_t, nbdkit_extents* list) {
  for (std::uint64_t at = offset; at < offset + count;) {
    const CachedSource::Stretch stretch = served.source->stretch_at(at);
    const std::uint32_t kind = stretch.zero ? NBDKIT_EXTENT_HOLE | NBDKIT_EXTENT_ZERO : 0;
    if (nbdkit_add_extent(list, at, stretch.end - at, kind) != 0) return -1;
    at = stretch.end;
  }
  return 0;
}

nbdkit_plugin describe() {
  nbdkit_plugin plugin{};
  plugin.name = "tintype";
  plugin.longname = "A disk of a Tintype checkpoint";
  plugin.version = TINTYPE_VERSION;
  plugin.description = "Offers a disk of a checkpoint, read-only.";
  plugin.config_help =
      "repository=DIRECTORY  (required) Where the checkpoint lies.\n"
      "id=N                  Which one, by default the newest.\n"
      "disk=ID               Which of its disks, by default disk0.";
  plugin.unload = unload;
  plugin.config = config;
  plugin.config_complete = config_complete;
  plugin.after_fork = after_fork;
  plugin.open = open;
  plugin.get_size = get_size;
  plugin.can_write = no;
  plugin.can_multi_conn = yes;
  plugin.can_extents = yes;
  plugin.pread = pread;
  plugin.extents = extents;
  return plugin;
}

nbdkit_plugin plugin = describe();

}  // namespace

#define THREAD_MODEL NBDKIT_THREAD_MODEL_PARALLEL
NBDKIT_REGISTER_PLUGIN(plugin)
