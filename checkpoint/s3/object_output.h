// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/format/part_output.h"
#include "checkpoint/s3/client.h"
#include "checkpoint/s3/task_pool.h"
#include "vmm/base/mapping.h"
#include "vmm/base/unnamed_file.h"

namespace tintype {

/// A file of a checkpoint as it goes into an object: in pieces, several of which are on their way at the same time. A
/// piece is sent when all of it has been written. Small files are sent at once; what is larger is uploaded in parts.
/// An object store takes nothing back: where something is going to be erased, all of it waits in a file of this
/// computer (in TMPDIR, by default /var/tmp) until the end.
class ObjectOutput final : public PartOutput, public std::enable_shared_from_this<ObjectOutput> {
 public:
  /// Made as a shared one: what has been handed to the pool holds it. Client and pool must outlive that.
  /// `before_sending` is called on the pool's threads.
  ObjectOutput(S3Client& client, TaskPool& pool, std::string name, std::uint64_t content_bytes,
               std::function<void()> before_sending);

  std::string name() const override;
  void write(std::span<iovec> pieces, std::uint64_t offset) override;
  void write(std::span<const std::byte> bytes, std::uint64_t offset) override;
  void reserve(std::uint64_t, std::uint64_t) override {}
  void expect_erasures() override;
  void erase(std::uint64_t offset, std::uint64_t bytes) override;
  void truncate(std::uint64_t end) override;
  void start_writeback() noexcept override {}
  /// Waits until all that the pool was given is there.
  void finish_writeback() override;
  void sync() override { finish_writeback(); }

  static std::uint64_t part_bytes_for(std::uint64_t content_bytes) noexcept;

 private:
  struct Piece {
    explicit Piece(Mapping where) : memory(std::move(where)) {}
    Mapping memory;
    std::uint64_t written = 0;
  };
  using Pieces = std::map<std::uint64_t, std::shared_ptr<Piece>>;

  void send_ready(std::unique_lock<std::mutex>& lock);
  void send_part(std::uint64_t index, std::shared_ptr<Piece> piece, std::uint64_t bytes);
  void send_whole();
  std::string begin_upload();
  std::uint64_t length_of(std::uint64_t index) const noexcept;
  std::shared_ptr<Piece> piece_at(std::uint64_t index);

  S3Client& client_;
  TaskPool& pool_;
  const std::string name_;
  const std::uint64_t piece_bytes_;
  const std::function<void()> before_sending_;
  std::optional<UnnamedFile> waiting_;  ///< where all of it waits

  std::mutex mutex_;  // guards the rest
  Pieces pieces_;     ///< not sent yet
  std::uint64_t written_ = 0, end_ = 0;
  bool ended_ = false, in_parts_ = false, completed_ = false;
  std::vector<std::string> tags_;  ///< of parts that are there
  std::mutex upload_mutex_;        // guards the name of the upload while it is asked for
  std::string upload_;
};

}  // namespace tintype
