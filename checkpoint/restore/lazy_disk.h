// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>

#include "checkpoint/format/block_source.h"
#include "checkpoint/restore/image_chunks.h"
#include "vmm/base/absent_blocks.h"
#include "vmm/base/unique_fd.h"

namespace tintype {

/// The image of a disk that is restored while the machine runs. It holds what the checkpoint has, and nothing else:
/// what the guest writes goes to a log above it. A piece that somebody wants is brought at once; the rest comes in the
/// background where the image is to become whole. Until then it says that it is not (vmm/base/image_note.h). A read
/// that fails is tried again when that piece is wanted again; the background goes on when any piece could be brought,
/// when it is told to, and by itself, with pauses that grow.
class LazyDisk final : public AbsentBlocks {
 public:
  /// `image` is empty, as long as the disk, and open for writing; `path` is where it lies.
  LazyDisk(const std::shared_ptr<const BlockSource>& source, UniqueFd image, std::filesystem::path path,
           bool becomes_whole);
  /// The same of an image that never becomes whole, and that other processes bring pieces of, too. Two may bring the
  /// same at once: both write what the checkpoint has.
  LazyDisk(std::shared_ptr<const BlockSource> source, UniqueFd image, std::filesystem::path path,
           std::shared_ptr<ImageChunks> chunks);
  ~LazyDisk() override;

  bool is_there(std::uint64_t offset, std::uint64_t length) const noexcept override;
  void bring(std::uint64_t offset, std::uint64_t length) override;
  std::optional<std::uint64_t> next_absent(std::uint64_t offset) const noexcept override;
  std::uint64_t bytes_left() const noexcept override { return chunks_->bytes_left(); }
  bool is_complete() const noexcept override;
  bool becomes_whole() const noexcept override { return becomes_whole_; }
  void make_lasting() override;
  void start(Steps steps) override;
  void finish() override;
  void go_on() noexcept override;
  std::string problem() const override;
  void stop() noexcept override;

 private:
  LazyDisk(std::shared_ptr<const BlockSource> source, UniqueFd image, std::filesystem::path path, bool becomes_whole,
           std::shared_ptr<ImageChunks> chunks);
  std::uint64_t size() const noexcept { return source_->content_bytes(); }
  void bring_chunk(std::size_t chunk);
  void copy(std::size_t chunk) const;
  void note(std::size_t chunk, const std::string& problem) noexcept;
  void sync_image();
  void complete(const Steps& steps) noexcept;
  std::string try_to_complete(const Steps& steps) noexcept;
  bool make_whole();
  bool is_to_go_on(std::chrono::milliseconds pause);

  const std::shared_ptr<const BlockSource> source_;
  const UniqueFd image_;
  const std::filesystem::path path_;
  const bool becomes_whole_;
  const std::shared_ptr<ImageChunks> chunks_;

  std::mutex lasting_mutex_;  // guards the next; taken before the other
  bool lasts_ = false;

  mutable std::mutex mutex_;  // guards the rest
  std::condition_variable changed_;
  std::set<std::size_t> loading_;  // chunks, by threads of this process
  bool whole_ = false, stopping_ = false, stands_still_ = false, go_on_ = false;
  std::string problem_;
  std::size_t problem_chunk_ = 0;
  std::thread thread_;
};

}  // namespace tintype
