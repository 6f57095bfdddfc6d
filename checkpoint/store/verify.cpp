// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/store/verify.h"

#include <algorithm>
#include <set>

#include "checkpoint/format/checkpoint_files.h"
#include "checkpoint/store/checkpoint_reader.h"
#include "checkpoint/store/open_checkpoint.h"
#include "checkpoint/store/repository.h"
#include "vmm/base/io.h"

namespace tintype {
namespace {

namespace fs = std::filesystem;

// A disk that went bad can damage every extent: so many are named, the rest is counted.
constexpr std::size_t kNamedExtents = 20;

/// Goes through one checkpoint and through all of it, whatever it finds on the way.
class Verifier {
 public:
  Verifier(const Repository& repository, std::uint64_t id, Verification& result, const ProgressSink& progress)
      : repository_(repository),
        directory_(repository.directory_of(id)),
        id_(id),
        result_(result),
        progress_(progress) {}

  void run() {
    ++result_.checkpoints;
    attempt(".", [&] { verify_all(); });
  }

 private:
  void verify_all() {
    const std::size_t damages_before = result_.damages.size();
    count_bytes();
    std::optional<Manifest> manifest;
    attempt(checkpoint_files::kManifest, [&] { manifest = read_manifest(directory_, id_); });
    if (manifest) {
      verify_parts(*manifest);
    } else {
      verify_files_alone();
    }
    // Each file is well; are they well together?
    if (result_.damages.size() == damages_before) {
      attempt(checkpoint_files::kManifest, [&] { CheckpointReader(repository_.path(), id_); });
    }
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
    for (const auto& entry : fs::directory_iterator(directory_)) {
      std::error_code error;
      const auto bytes = entry.is_regular_file(error) ? entry.file_size(error) : 0;
      if (!error) total_ += bytes;
    }
    result_.bytes += total_;
  }

  void verify_parts(const Manifest& manifest) {
    std::set<std::string> expected{checkpoint_files::kManifest};
    for (const PartDescription& description : manifest.parts) {
      expected.insert(description.file);
      if (description.name == checkpoint_files::kStateName) {
        attempt(description.file, [&] { read_states(directory_, manifest); });
      } else {
        verify_part(description.file, [&] { return open_part(directory_, description, kind_of(description)); });
      }
    }
    for (const auto& entry : fs::directory_iterator(directory_)) {
      const std::string name = entry.path().filename().string();
      if (!expected.contains(name))
        damage(name, fmt::format("{} does not belong to the checkpoint", entry.path().string()));
    }
  }

  static PartKind kind_of(const PartDescription& description) {
    return description.name == checkpoint_files::kMemoryName ? PartKind::kMemory : PartKind::kDisk;
  }

  /// Without a manifest nobody knows which files there should be, but those that are there can be sound in
  /// themselves.
  void verify_files_alone() {
    for (const auto& entry : fs::directory_iterator(directory_)) {
      const std::string name = entry.path().filename().string();
      if (entry.path().extension() == ".part") {
        verify_part(name, [&] { return std::make_unique<PartReader>(entry.path()); });
      } else if (name == checkpoint_files::kState) {
        attempt(name, [&] { read_states_alone(entry.path()); });
      }
    }
  }

  static void read_states_alone(const fs::path& path) {
    const std::string text = read_text_file(path, kMaximumStateBytes);
    decode_states(std::as_bytes(std::span(text)), path.string());
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
    std::vector<std::byte> buffer;
    std::size_t bad = 0;
    for (const Extent& extent : part.extents()) {
      buffer.resize(extent.data_bytes());
      try {
        part.read_extent(extent, buffer);
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

  const Repository& repository_;
  fs::path directory_;
  std::uint64_t id_;
  Verification& result_;
  const ProgressSink& progress_;
  std::uint64_t total_ = 0, done_ = 0, reported_ = 0;
};

}  // namespace

Verification verify_checkpoints(const fs::path& path, std::optional<std::uint64_t> id, const ProgressSink& progress) {
  const Repository repository = Repository::open(path);
  const auto ids = id ? std::vector{repository.resolve(id)} : repository.ids();
  if (ids.empty() && !repository.was_written_to())
    throw Error("{} is no repository: name the directory that was given to checkpoint --to", path.string());
  Verification result;
  for (const std::uint64_t each : ids) Verifier(repository, each, result, progress).run();
  return result;
}

}  // namespace tintype
