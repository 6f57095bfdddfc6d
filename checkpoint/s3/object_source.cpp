// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/s3/object_source.h"

#include <algorithm>
#include <cstring>

#include "checkpoint/format/part_format.h"
#include "vmm/base/error.h"

namespace tintype {
namespace {

constexpr std::size_t kMostPieces = 16;
constexpr std::uint64_t kAhead = 4;
constexpr std::size_t kMostSpare = 4;

}  // namespace

std::shared_ptr<const PieceCache::Piece> PieceCache::get(const std::string& object, std::uint64_t index,
                                                         std::uint64_t total) {
  const Key key{object, index};
  std::unique_lock lock(mutex_);
  read_ahead(key, total);
  for (;;) {
    const auto found = entries_.find(key);
    if (found == entries_.end()) break;
    if (found->second.piece) {
      touch(found->second);
      return found->second.piece;
    }
    changed_.wait(lock);  // where that fails, the entry is gone, and it is tried here
  }
  ages_.push_front(key);
  entries_[key] = {nullptr, ages_.begin()};
  lock.unlock();
  return fetch(key);
}

PieceCache::SpareMemory::SpareMemory() { spare_.reserve(kMostSpare); }

std::vector<std::byte> PieceCache::SpareMemory::take() {
  const std::lock_guard lock(mutex_);
  if (spare_.empty()) return {};
  std::vector<std::byte> bytes = std::move(spare_.back());
  spare_.pop_back();
  return bytes;
}

void PieceCache::SpareMemory::give(std::vector<std::byte> bytes) noexcept {
  const std::lock_guard lock(mutex_);
  if (bytes.size() == kPieceBytes && spare_.size() < kMostSpare) spare_.push_back(std::move(bytes));
}

std::shared_ptr<PieceCache::Piece> PieceCache::make_piece() const {
  auto piece = std::make_unique<Piece>();
  piece->bytes = spare_->take();
  piece->bytes.resize(kPieceBytes);
  return {piece.release(), [spare = spare_](Piece* done) {
            spare->give(std::move(done->bytes));
            delete done;
          }};
}

/// The entry is there, and it is this thread's to fill.
std::shared_ptr<const PieceCache::Piece> PieceCache::fetch(const Key& key) {
  std::shared_ptr<Piece> piece;
  try {
    piece = make_piece();
    const auto read = client_->read(key.first, key.second * kPieceBytes, piece->bytes);
    piece->missing = !read;
    piece->bytes.resize(read ? read->bytes : 0);
    piece->total = read ? read->total : 0;
  } catch (...) {
    const std::lock_guard lock(mutex_);
    ages_.erase(entries_.at(key).age);
    entries_.erase(key);
    changed_.notify_all();
    throw;
  }
  const std::lock_guard lock(mutex_);
  entries_.at(key).piece = piece;
  make_room();
  changed_.notify_all();
  return piece;
}

// Who wants this piece and had the one before goes on to the next. What fails here is tried again by whoever wants it.
void PieceCache::read_ahead(const Key& key, std::uint64_t total) {
  const auto& [object, index] = key;
  if (index == 0 || !entries_.contains({object, index - 1})) return;
  for (std::uint64_t next = index; next <= index + kAhead && next * kPieceBytes < total; ++next) {
    const Key wanted{object, next};
    if (entries_.contains(wanted)) continue;
    ages_.push_front(wanted);
    entries_[wanted] = {nullptr, ages_.begin()};
    const bool taken = pool_.try_put([this, wanted] {
      try {
        fetch(wanted);
      } catch (const std::exception&) {
      }
    });
    if (taken) continue;
    ages_.erase(entries_.at(wanted).age);
    entries_.erase(wanted);
    return;
  }
}

void PieceCache::touch(Entry& entry) { ages_.splice(ages_.begin(), ages_, entry.age); }

/// The oldest go; those that are being read stay.
void PieceCache::make_room() {
  for (auto oldest = ages_.end(); oldest != ages_.begin() && ages_.size() > kMostPieces;) {
    --oldest;
    if (!entries_.at(*oldest).piece) continue;
    entries_.erase(*oldest);
    oldest = ages_.erase(oldest);
  }
}

ObjectSource::ObjectSource(std::shared_ptr<PieceCache> cache, std::string object, std::string name)
    : cache_(std::move(cache)), object_(std::move(object)), name_(std::move(name)) {
  const auto first = cache_->get(object_, 0, 0);
  if (first->missing) throw ImageError("{} is missing: the checkpoint is not whole", name_);
  size_ = first->total;
}

void ObjectSource::read(std::uint64_t offset, std::span<std::byte> into) const {
  if (offset > size_ || into.size() > size_ - offset)
    throw ImageError("{} ends at {}, {} bytes too early", name_, size_, offset + into.size() - size_);
  while (!into.empty()) {
    const std::uint64_t index = offset / PieceCache::kPieceBytes, at = offset % PieceCache::kPieceBytes;
    const auto piece = cache_->get(object_, index, size_);
    if (piece->missing) throw ImageError("{} was deleted while it was read", name_);
    if (piece->total != size_ || piece->bytes.size() <= at)
      throw ImageError("{} has {} bytes instead of {}", name_, piece->total, size_);
    const std::uint64_t count = std::min<std::uint64_t>(into.size(), piece->bytes.size() - at);
    std::memcpy(into.data(), piece->bytes.data() + at, count);
    into = into.subspan(count);
    offset += count;
  }
}

}  // namespace tintype
