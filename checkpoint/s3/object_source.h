// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "checkpoint/format/byte_source.h"
#include "checkpoint/s3/client.h"
#include "checkpoint/s3/task_pool.h"

namespace tintype {

/// Pieces of objects, as they were read last: what is read next is mostly the piece that comes next, so it is asked for
/// before somebody wants it. Any thread.
class PieceCache {
 public:
  static constexpr std::uint64_t kPieceBytes = 4 << 20;

  struct Piece {
    std::vector<std::byte> bytes;
    std::uint64_t total = 0;  ///< of the object
    bool missing = false;     ///< there is no such object
  };

  explicit PieceCache(std::shared_ptr<S3Client> client) : client_(std::move(client)) {}

  /// Waits for it. `total`: how long the object is; 0 where that is not known yet. Throws what reading throws.
  std::shared_ptr<const Piece> get(const std::string& object, std::uint64_t index, std::uint64_t total);

 private:
  using Key = std::pair<std::string, std::uint64_t>;
  struct Entry {
    std::shared_ptr<const Piece> piece;  ///< nothing: it is being read
    std::list<Key>::iterator age;
  };
  /// Memory of pieces that nobody wants any more, for those that come: to clear fresh memory takes longer than to fill
  /// it.
  class SpareMemory {
   public:
    SpareMemory();
    std::vector<std::byte> take();
    void give(std::vector<std::byte> bytes) noexcept;

   private:
    std::mutex mutex_;
    std::vector<std::vector<std::byte>> spare_;
  };

  std::shared_ptr<Piece> make_piece() const;
  std::shared_ptr<const Piece> fetch(const Key& key);
  void read_ahead(const Key& key, std::uint64_t total);
  void touch(Entry& entry);
  void make_room();

  const std::shared_ptr<S3Client> client_;
  const std::shared_ptr<SpareMemory> spare_ = std::make_shared<SpareMemory>();
  std::mutex mutex_;  // guards the rest but the pool
  std::condition_variable changed_;
  std::map<Key, Entry> entries_;
  std::list<Key> ages_;  ///< used last first
  TaskPool pool_{4};     // last: its threads are gone before the rest is
};

/// A file of a checkpoint that is an object.
class ObjectSource final : public ByteSource {
 public:
  /// Throws ImageError where there is no such object.
  ObjectSource(std::shared_ptr<PieceCache> cache, std::string object, std::string name);
  const std::string& name() const noexcept override { return name_; }
  std::uint64_t size() const noexcept override { return size_; }
  void read(std::uint64_t offset, std::span<std::byte> into) const override;

 private:
  const std::shared_ptr<PieceCache> cache_;
  const std::string object_, name_;
  std::uint64_t size_;
};

}  // namespace tintype
