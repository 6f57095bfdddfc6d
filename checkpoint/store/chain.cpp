// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/store/chain.h"

#include <sys/resource.h>

#include <algorithm>

#include "checkpoint/format/checkpoint_files.h"
#include "checkpoint/format/part_chain.h"
#include "checkpoint/store/open_checkpoint.h"

namespace tintype {
namespace {

PartKind kind_of(const std::string& part) {
  return part == checkpoint_files::kMemoryName ? PartKind::kMemory : PartKind::kDisk;
}

// All files of a chain are open at the same time, so that it can be read to its end whatever is deleted meanwhile. The
// limit that a process begins with is made for select(), which nobody here uses.
void allow_many_files() noexcept {
  struct rlimit limit {};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  static_cast<void>(::setrlimit(RLIMIT_NOFILE, &limit));
}

}  // namespace

Chain read_chain(const CheckpointStore& store, std::uint64_t id) {
  return read_chain(store, id, [](const ChainLink&) { return true; });
}

Chain read_chain(const CheckpointStore& store, std::uint64_t id, const std::function<bool(const ChainLink&)>& needed) {
  Chain chain;
  for (std::uint64_t next = id; next != 0; next = chain.back().manifest->parent) {
    ChainLink link{store.folder_of(next), nullptr};
    if (!link.folder && !chain.empty()) throw_parent_missing(*chain.back().manifest, store);
    if (!link.folder) throw ImageError("checkpoint {} is not in {} any more", next, store.name());
    link.manifest = store.manifest_in(*link.folder, next);
    if (!chain.empty()) check_parent(*chain.back().manifest, *link.manifest);
    chain.push_back(std::move(link));
    if (!needed(chain.back())) break;
  }
  return chain;
}

void check_parent(const Manifest& child, const Manifest& parent) {
  if (child.parent != parent.id || child.parent_identity != parent.identity) {
    throw ImageError("checkpoint {} builds on another checkpoint {} than the one that is there: restore from another",
                     child.id, parent.id);
  }
  for (const PartDescription& part : child.parts) {
    if (!part.summary.incremental) continue;
    const PartDescription* below = parent.find_part(part.name);
    if (below == nullptr) {
      throw ImageError("checkpoint {} holds changes of {} only, and checkpoint {}, which they were made to, has none",
                       child.id, part.name, parent.id);
    }
    if (below->summary.content_bytes != part.summary.content_bytes) {
      throw ImageError("{} has {} bytes in checkpoint {} and {} in checkpoint {}, which it builds on", part.name,
                       part.summary.content_bytes, child.id, below->summary.content_bytes, parent.id);
    }
  }
}

void throw_parent_missing(const Manifest& child, const CheckpointStore& store) {
  throw ImageError("checkpoint {} builds on checkpoint {}, which is not in {}: restore from another", child.id,
                   child.parent, store.name());
}

void check_files(const ChainLink& link) {
  const auto files = link.folder->files();
  for (const PartDescription& part : link.manifest->parts) {
    const std::string path = link.folder->path_of(part.file);
    const auto found = files.find(part.file);
    if (found == files.end()) throw ImageError("{} is missing: the checkpoint is not whole", path);
    if (found->second != part.summary.file_bytes)
      throw ImageError("{} has {} bytes instead of {}", path, found->second, part.summary.file_bytes);
  }
}

std::vector<std::unique_ptr<PartReader>> open_parts(std::span<const ChainLink> chain, const std::string& part) {
  allow_many_files();
  std::vector<std::unique_ptr<PartReader>> parts;
  for (const ChainLink& link : chain) {
    const PartDescription* description = link.manifest->find_part(part);
    if (description == nullptr) throw ImageError("checkpoint {} has no {}", link.manifest->id, part);
    parts.push_back(open_part(*link.folder, *description, kind_of(part)));
    parts.back()->check_gaps();
    if (!description->summary.incremental) break;
  }
  return parts;
}

std::unique_ptr<BlockSource> open_source(const Chain& chain, const std::string& part) {
  return std::make_unique<PartChain>(part, open_parts(chain, part));
}

bool still_there(const CheckpointStore::Stamps& before, const CheckpointStore::Stamps& now) {
  return std::ranges::all_of(before, [&](const auto& entry) {
    const auto found = now.find(entry.first);
    return found != now.end() && found->second == entry.second;
  });
}

}  // namespace tintype
