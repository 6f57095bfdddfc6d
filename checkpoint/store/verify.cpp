// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/store/verify.h"

#include <algorithm>
#include <map>
#include <set>

#include "checkpoint/format/checkpoint_files.h"
#include "checkpoint/store/chain.h"
#include "checkpoint/store/open_checkpoint.h"
#include "checkpoint/store/repository_names.h"
#include "vmm/base/io.h"
#include "vmm/base/unnamed_file.h"

namespace tintype {
namespace {

namespace fs = std::filesystem;

// A disk that went bad can damage every extent: so many are named, the rest is counted.
constexpr std::size_t kNamedExtents = 20;

/// Goes through the files of one checkpoint and through all of them, whatever it finds on the way.
class FileVerifier {
 public:
  FileVerifier(const CheckpointFolder& folder, std::uint64_t id, Verification& result, const ProgressSink& progress)
      : folder_(folder), id_(id), result_(result), progress_(progress) {}

  /// The manifest, where it can be read.
  std::optional<Manifest> run() {
    attempt(".", [&] { verify_all(); });
    return std::move(manifest_);
  }

 private:
  void verify_all() {
    const std::size_t damages_before = result_.damages.size();
    count_bytes();
    attempt(checkpoint_files::kManifest, [&] { manifest_ = read_manifest(folder_, id_); });
    if (manifest_) {
      verify_parts(*manifest_);
    } else {
      verify_files_alone();
    }
    // Each file is well; are they well together?
    if (result_.damages.size() == damages_before)
      attempt(checkpoint_files::kManifest, [&] { check_machine(*manifest_); });
  }

  void damage(const std::string& file, std::string reason) {
    result_.damages.push_back({id_, file, std::move(reason)});
  }

  template <typename Function>
  void attempt(const std::string& file, Function function) {
    try {
      function();
    } catch (const std::exception& error) {
      damage(file, error.what());
    }
  }

  void count_bytes() {
    files_ = folder_.files();
    for (const auto& [name, bytes] : files_) total_ += bytes;
    result_.bytes += total_;
  }

  void verify_parts(const Manifest& manifest) {
    // A writer that is killed right after it has given the checkpoint its name leaves its lock there.
    std::set<std::string> expected{checkpoint_files::kManifest, checkpoint_files::kChecks,
                                   checkpoint_files::kWorkingSet, repository_names::kWriterLockName};
    for (const PartDescription& description : manifest.parts) {
      expected.insert(description.file);
      if (description.name == checkpoint_files::kStateName) {
        attempt(description.file, [&] { read_states(folder_, manifest); });
      } else {
        verify_part(description.file, [&] { return open_part(folder_, description, kind_of(description)); });
      }
    }
    for (const auto& [name, bytes] : files_) {
      if (!expected.contains(name) && !UnnamedFile::is_leftover(name))
        damage(name, fmt::format("{} does not belong to the checkpoint", folder_.path_of(name)));
    }
  }

  static PartKind kind_of(const PartDescription& description) {
    return description.name == checkpoint_files::kMemoryName ? PartKind::kMemory : PartKind::kDisk;
  }

  /// Without a manifest nobody knows which files there should be, but those that are there can be sound in
  /// themselves.
  void verify_files_alone() {
    for (const auto& [name, bytes] : files_) {
      if (name.ends_with(".part")) {
        verify_part(name, [&, file = name] { return std::make_unique<PartReader>(folder_.open(file)); });
      } else if (name == checkpoint_files::kState) {
        attempt(name, [&, file = name] { read_states_alone(*folder_.open(file)); });
      }
    }
  }

  static void read_states_alone(const ByteSource& file) {
    decode_states(read_all(file, kMaximumStateBytes), file.name());
  }

  template <typename Open>
  void verify_part(const std::string& file, Open open) {
    std::unique_ptr<PartReader> part;
    attempt(file, [&] { part = open(); });
    if (!part) return;
    verify_data(file, *part);
    attempt(file, [&] { part->check_gaps(); });
  }

  void verify_data(const std::string& file, const PartReader& part) {
    std::vector<std::byte> spare;
    std::size_t bad = 0;
    for (const Extent& extent : part.extents()) {
      try {
        part.check_extent(extent, spare);
      } catch (const std::exception& error) {
        if (++bad <= kNamedExtents) damage(file, error.what());
      }
      report(file, extent.stored_bytes);
    }
    if (bad > kNamedExtents)
      damage(file, fmt::format("{} more extents of {} are damaged", bad - kNamedExtents, part.path().string()));
  }

  void report(const std::string& file, std::uint64_t bytes) {
    constexpr std::uint64_t kStep = 32 << 20;
    done_ += bytes;
    if (!progress_ || done_ < reported_ + kStep) return;
    reported_ = done_;
    progress_({file, done_, total_});
  }

  const CheckpointFolder& folder_;
  std::map<std::string, std::uint64_t> files_;
  const std::uint64_t id_;
  std::optional<Manifest> manifest_;
  Verification& result_;
  const ProgressSink& progress_;
  std::uint64_t total_ = 0, done_ = 0, reported_ = 0;
};

/// Every checkpoint by itself, and then whether each has what it builds on.
class ChainVerifier {
 public:
  ChainVerifier(const CheckpointStore& store, const ProgressSink& progress) : store_(store), progress_(progress) {}

  Verification run(std::optional<std::uint64_t> id) {
    const auto bases = store_.bases();
    const auto ids = id ? with_ancestors(store_.resolve(id)) : joined(store_.ids(), bases);
    for (const std::uint64_t each : ids) {
      ++(std::ranges::binary_search(bases, each) ? result_.bases : result_.checkpoints);
      verify(each);
    }
    return std::move(result_);
  }

 private:
  struct Seen {
    std::optional<Manifest> manifest;
    bool whole = false;  ///< and all that it builds on
  };

  static std::set<std::uint64_t> joined(const std::vector<std::uint64_t>& some,
                                        const std::vector<std::uint64_t>& others) {
    std::set<std::uint64_t> ids(some.begin(), some.end());
    ids.insert(others.begin(), others.end());
    return ids;
  }

  /// As far as they are there and can be read: what is wrong is found when they are verified.
  std::set<std::uint64_t> with_ancestors(std::uint64_t id) const {
    std::set<std::uint64_t> ids;
    try {
      while (id != 0 && store_.folder_of(id)) {
        ids.insert(id);
        id = store_.manifest_of(id)->parent;
      }
    } catch (const std::exception&) {
    }
    return ids;
  }

  // Parents come first: their ids are lower.
  void verify(std::uint64_t id) {
    const std::size_t damages_before = result_.damages.size();
    Seen seen;
    try {
      const auto folder = store_.folder_of(id);
      if (!folder) throw ImageError("checkpoint {} is not in {} any more", id, store_.name());
      seen.manifest = FileVerifier(*folder, id, result_, progress_).run();
    } catch (const std::exception& error) {
      result_.damages.push_back({id, checkpoint_files::kManifest, error.what()});
    }
    if (seen.manifest && seen.manifest->parent != 0) {
      try {
        check_ancestors(*seen.manifest);
      } catch (const std::exception& error) {
        result_.damages.push_back({id, checkpoint_files::kManifest, error.what()});
      }
    }
    seen.whole = result_.damages.size() == damages_before;
    seen_[id] = std::move(seen);
  }

  void check_ancestors(const Manifest& manifest) const {
    const auto parent = seen_.find(manifest.parent);
    if (parent == seen_.end()) throw_parent_missing(manifest, store_);
    if (parent->second.manifest) check_parent(manifest, *parent->second.manifest);
    if (!parent->second.whole)
      throw ImageError("checkpoint {} builds on checkpoint {}, which is not whole", manifest.id, manifest.parent);
  }

  const CheckpointStore& store_;
  const ProgressSink& progress_;
  Verification result_;
  std::map<std::uint64_t, Seen> seen_;
};

}  // namespace

Verification verify_checkpoints(const fs::path& path, std::optional<std::uint64_t> id, const ProgressSink& progress) {
  constexpr int kAttempts = 5;
  const auto store = open_store(path);
  store->require_repository();
  for (int attempt = 1;; ++attempt) {
    const auto before = store->stamps();
    Verification result = ChainVerifier(*store, progress).run(id);
    // What was deleted or merged while it was read is not damaged.
    if (result.good() || attempt == kAttempts || still_there(before, store->stamps())) return result;
  }
}

}  // namespace tintype
