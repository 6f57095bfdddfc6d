// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/backup/transfer.h"

#include <algorithm>
#include <functional>

#include "checkpoint/backup/carried_files.h"
#include "checkpoint/backup/import.h"
#include "checkpoint/backup/stream.h"
#include "checkpoint/store/chain.h"
#include "checkpoint/store/checkpoint_store.h"
#include "checkpoint/store/fresh_store.h"
#include "vmm/base/error.h"

namespace tintype {
namespace {

namespace fs = std::filesystem;

Carried carried_of(const Manifest& manifest, std::uint64_t bytes, bool base) {
  return {manifest.id, manifest.id, manifest.vm, manifest.identity, bytes, false, false, base};
}

/// How much of how much has been carried.
class Meter {
 public:
  Meter(const char* phase, const ProgressSink& progress) : phase_(phase), progress_(progress) {}
  void expect(std::uint64_t bytes) { total_ += bytes; }
  void done(std::uint64_t bytes) {
    done_ += bytes;
    if (progress_) progress_({phase_, done_, std::max(done_, total_)});
  }

 private:
  const char* phase_;
  const ProgressSink& progress_;
  std::uint64_t done_ = 0, total_ = 0;
};

/// What comes into a repository, whichever way.
class Arrivals {
 public:
  explicit Arrivals(const fs::path& to, std::shared_ptr<KnownManifests> known = {})
      : fresh_(to), store_(create_store(to, std::move(known))), known_(*store_) {}

  bool has(const Manifest& manifest) const { return known_.find(manifest.identity).has_value(); }
  /// Others may have brought some of it since.
  void look_again() { known_.look_again(); }
  CheckpointImport begin(const Manifest& manifest, bool base) { return {*store_, known_, manifest, base}; }
  /// What came of it; with no import: it was there.
  void finish(CheckpointImport* import, Carried& carried) {
    carried.meanwhile = import != nullptr && !import->finish(known_);
    carried.already = import == nullptr || carried.meanwhile;
    carried.id = known_.find(carried.identity)->id;
    if (carried.base) brought_.push_back(carried.id);
    if (carried.already && !carried.base) store_->came_for_itself(carried.id);
    if (!carried.already) brought_for(import->parent());
  }
  /// Those that were deleted where they come from are needed now, and listed no more; whoever has brought them.
  void hide_bases() {
    std::ranges::sort(brought_);
    brought_.erase(std::unique(brought_.begin(), brought_.end()), brought_.end());
    if (!brought_.empty()) store_->hide_brought(brought_);
    brought_.clear();
  }

 private:
  /// Somebody may have brought this one, and what it builds on, for the one that has come now.
  void brought_for(std::uint64_t parent) {
    for (; parent != 0 && store_->was_brought_for_others(parent); parent = store_->manifest_of(parent)->parent)
      brought_.push_back(parent);
  }

  const FreshStore fresh_;
  const std::unique_ptr<CheckpointStore> store_;
  Identities known_;
  std::vector<std::uint64_t> brought_;  ///< maybe for others
};

Carried copy_one(CarriedCheckpoint& from, Arrivals& to, Meter& meter) {
  Carried carried = carried_of(from.manifest, from.bytes(), from.base);
  if (to.has(from.manifest)) {
    to.finish(nullptr, carried);
    return carried;
  }
  meter.expect(from.bytes());
  CheckpointImport import = to.begin(from.manifest, from.base);
  for (CarriedFile& file : from.files) {
    import.begin_file(file.part.file);
    file.pass(kMaximumFrameBytes, [&](std::span<const std::byte> piece) {
      import.write(piece);
      meter.done(piece.size());
    });
  }
  to.finish(&import, carried);
  return carried;
}

/// One of the stream, whose manifest has just come; read to its end, whether it is wanted or not.
Carried receive_one(const Frame& first, StreamReader& stream, Arrivals& to, Meter& meter) {
  const Manifest manifest = decode_manifest(first.text(), "the manifest in the stream");
  Carried carried = carried_of(manifest, 0, first.kind == FrameKind::kBase);
  std::optional<CheckpointImport> import;
  if (!to.has(manifest)) to.look_again();
  if (!to.has(manifest)) import.emplace(to.begin(manifest, carried.base));
  for (Frame frame = stream.next(); frame.kind != FrameKind::kSealed; frame = stream.next()) {
    if (frame.kind != FrameKind::kFile && frame.kind != FrameKind::kData)
      throw ImageError("the stream breaks off in checkpoint {}: send it again", manifest.id);
    if (frame.kind == FrameKind::kData) carried.bytes += frame.payload.size();
    if (import && frame.kind == FrameKind::kFile) import->begin_file(std::string(frame.text()));
    if (import && frame.kind == FrameKind::kData) import->write(frame.payload);
    meter.done(frame.kind == FrameKind::kData ? frame.payload.size() : 0);
  }
  to.finish(import ? &*import : nullptr, carried);
  return carried;
}

/// Of a chain the last that is there. All that it builds on is there as well, though it may have been merged into it.
std::size_t last_there(const std::vector<CarriedCheckpoint>& chain, const Arrivals& to) {
  std::size_t last = 0;
  for (std::size_t i = 0; i < chain.size(); ++i)
    if (to.has(chain[i].manifest)) last = i;
  return last;
}

/// From one repository to another.
class Copy {
 public:
  Copy(const CheckpointStore& source, const fs::path& to, const ProgressSink& progress)
      : source_(source), arrivals_(to), meter_("copy", progress) {}

  /// This one, and what it builds on.
  void carry(std::uint64_t id) {
    read_in_motion(source_, [&] {
      auto chain = open_to_carry(source_, id);
      std::size_t there = last_there(chain, arrivals_);
      for (std::size_t i = 0; i < chain.size(); ++i) {
        CarriedCheckpoint& checkpoint = chain[i];
        if (std::ranges::find(all_, checkpoint.manifest.identity, &Carried::identity) != all_.end()) continue;
        if (i >= there && !arrivals_.has(checkpoint.manifest)) {
          arrivals_.look_again();
          there = last_there(chain, arrivals_);
        }
        if (i < there && !arrivals_.has(checkpoint.manifest)) continue;
        throw_if_left_behind(checkpoint.manifest.id);
        all_.push_back(copy_one(checkpoint, arrivals_, meter_));
      }
    });
    arrivals_.hide_bases();
  }
  /// Nothing that builds on it can come either, and what came for it is not needed.
  void leave_behind(std::uint64_t id) {
    left_behind_.push_back(id);
    arrivals_.hide_bases();
  }

  std::vector<Carried> all() { return std::move(all_); }

 private:
  void throw_if_left_behind(std::uint64_t id) const {
    if (std::ranges::count(left_behind_, id) != 0) throw ImageError("it builds on checkpoint {}, which is damaged", id);
  }

  const CheckpointStore& source_;
  Arrivals arrivals_;
  Meter meter_;
  std::vector<Carried> all_;
  std::vector<std::uint64_t> left_behind_;
};

}  // namespace

std::vector<Carried> copy_checkpoints(const fs::path& from, const fs::path& to, std::optional<std::uint64_t> id,
                                      const ProgressSink& progress, std::vector<LeftBehind>* left_behind) {
  const auto source = open_store(from);
  source->require_repository();
  const auto ids = id ? std::vector{source->resolve(id)} : source->ids();
  if (source->holds(to))
    throw Error("{} cannot be copied to itself or into itself: name another repository", source->name());
  Copy copy(*source, to, progress);
  for (const std::uint64_t each : ids) {
    try {
      copy.carry(each);
    } catch (const ImageError& damage) {
      if (left_behind == nullptr) throw;
      left_behind->push_back({each, damage.what()});
      copy.leave_behind(each);
    }
  }
  return copy.all();
}

std::vector<Carried> send_checkpoint(const fs::path& from, std::optional<std::uint64_t> id,
                                     std::optional<std::uint64_t> after, const PutBytes& put,
                                     const ProgressSink& progress, std::shared_ptr<KnownManifests> known) {
  const auto source = open_store(from, std::move(known));
  if (after && std::ranges::count(source->bases(), *after) == 0) source->resolve(after);
  auto chain = open_to_carry(*source, source->resolve(id), after);
  Meter meter("send", progress);
  for (const CarriedCheckpoint& checkpoint : chain) meter.expect(checkpoint.bytes());
  StreamWriter stream(put);
  std::vector<Carried> all;
  for (CarriedCheckpoint& checkpoint : chain) {
    stream.put(checkpoint.base ? FrameKind::kBase : FrameKind::kCheckpoint, encode_manifest(checkpoint.manifest));
    for (CarriedFile& file : checkpoint.files) {
      stream.put(FrameKind::kFile, file.part.file);
      file.pass(kMaximumFrameBytes, [&](std::span<const std::byte> piece) {
        stream.put(FrameKind::kData, piece);
        meter.done(piece.size());
      });
    }
    stream.put(FrameKind::kSealed, "");
    all.push_back(carried_of(checkpoint.manifest, checkpoint.bytes(), checkpoint.base));
  }
  stream.put(FrameKind::kEnd, "");
  return all;
}

std::vector<Carried> receive_checkpoints(const fs::path& to, const GetBytes& get, const ProgressSink& progress,
                                         std::shared_ptr<KnownManifests> known) {
  std::vector<Carried> all;
  try {
    StreamReader stream(get);
    Arrivals arrivals(to, std::move(known));
    Meter meter("receive", progress);
    for (Frame frame = stream.next(); frame.kind != FrameKind::kEnd; frame = stream.next()) {
      if (frame.kind != FrameKind::kCheckpoint && frame.kind != FrameKind::kBase)
        throw ImageError("the stream has something outside of any checkpoint: it is damaged, send it again");
      all.push_back(receive_one(frame, stream, arrivals, meter));
      if (!all.back().base) arrivals.hide_bases();
    }
    arrivals.hide_bases();
  } catch (const StreamCut& cut) {
    if (all.empty()) throw ImageError("{}: no checkpoint came whole, send it again", cut.what());
    throw ImageError("{}: what came whole is here ({} of them), send the rest again", cut.what(), all.size());
  }
  return all;
}

}  // namespace tintype
