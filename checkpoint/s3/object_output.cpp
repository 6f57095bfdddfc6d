// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/s3/object_output.h"

#include <fcntl.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "vmm/base/error.h"

namespace tintype {
namespace {

constexpr std::uint64_t kMiB = 1 << 20;
constexpr std::uint64_t kLargestWhole = 64 * kMiB;  ///< of what goes in one request
constexpr std::uint64_t kSmallestPart = 8 * kMiB;   ///< S3 has 5 MiB at least
constexpr std::uint64_t kMostParts = 10'000, kExpectedParts = 8'000;

}  // namespace

// What a part holds may be a little more than its content: an index, and data that does not compress.
std::uint64_t ObjectOutput::part_bytes_for(std::uint64_t content_bytes) noexcept {
  const std::uint64_t wanted = content_bytes / kExpectedParts;
  return std::max(kSmallestPart, (wanted + kMiB - 1) / kMiB * kMiB);
}

ObjectOutput::ObjectOutput(S3Client& client, TaskPool& pool, std::string name, std::uint64_t content_bytes,
                           std::function<void()> before_sending)
    : client_(client),
      pool_(pool),
      name_(std::move(name)),
      piece_bytes_(part_bytes_for(content_bytes)),
      before_sending_(std::move(before_sending)) {}

std::string ObjectOutput::name() const { return client_.location().name() + "/" + name_; }

void ObjectOutput::write(std::span<iovec> pieces, std::uint64_t offset) {
  for (const iovec& piece : pieces) {
    write({static_cast<const std::byte*>(piece.iov_base), piece.iov_len}, offset);
    offset += piece.iov_len;
  }
}

void ObjectOutput::write(std::span<const std::byte> bytes, std::uint64_t offset) {
  while (!bytes.empty()) {
    const std::uint64_t index = offset / piece_bytes_, at = offset % piece_bytes_;
    const std::uint64_t count = std::min<std::uint64_t>(bytes.size(), piece_bytes_ - at);
    std::shared_ptr<Piece> piece;
    {
      const std::lock_guard lock(mutex_);
      piece = piece_at(index);
    }
    std::memcpy(piece->memory.data() + at, bytes.data(), count);
    std::unique_lock lock(mutex_);
    piece->written += count;
    written_ += count;
    if (piece->written == piece_bytes_) send_ready(lock);
    bytes = bytes.subspan(count);
    offset += count;
  }
}

void ObjectOutput::expect_erasures() {
  const char* const directory = std::getenv("TMPDIR");
  waiting_.emplace(directory == nullptr || *directory == '\0' ? "/var/tmp" : directory);
}

/// Under the lock. Room in a file is taken before it is written to: a mapping cannot say that there is none.
std::shared_ptr<ObjectOutput::Piece> ObjectOutput::piece_at(std::uint64_t index) {
  auto& piece = pieces_[index];
  if (piece) return piece;
  if (!waiting_) return piece = std::make_shared<Piece>(Mapping::anonymous(piece_bytes_));
  const auto offset = static_cast<off_t>(index * piece_bytes_);
  const int failure = ::posix_fallocate(waiting_->fd(), offset, static_cast<off_t>(piece_bytes_));
  if (failure != 0)
    throw Error(
        "{} cannot wait on this computer until it is whole ({}): name a directory with room in TMPDIR, or choose "
        "--strategy cow, fork or stop, which need none",
        name(), errno_text(failure));
  return piece = std::make_shared<Piece>(Mapping::of_fd(waiting_->fd(), piece_bytes_, offset));
}

void ObjectOutput::erase(std::uint64_t offset, std::uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  while (bytes != 0) {
    check(waiting_.has_value(), "what is erased has not been sent");
    const std::uint64_t at = offset % piece_bytes_, count = std::min(bytes, piece_bytes_ - at);
    std::memset(piece_at(offset / piece_bytes_)->memory.data() + at, 0, count);
    offset += count;
    bytes -= count;
  }
}

std::uint64_t ObjectOutput::length_of(std::uint64_t index) const noexcept {
  return ended_ ? std::min(piece_bytes_, end_ - index * piece_bytes_) : piece_bytes_;
}

/// All pieces that are whole, once it is known that the object is not a small one.
void ObjectOutput::send_ready(std::unique_lock<std::mutex>& lock) {
  in_parts_ = in_parts_ || written_ > kLargestWhole;
  if (!in_parts_ || (waiting_ && !ended_)) return;
  for (;;) {
    const auto ready = std::ranges::find_if(
        pieces_, [this](const auto& entry) { return entry.second->written == length_of(entry.first); });
    if (ready == pieces_.end()) return;
    const auto [index, piece] = *ready;
    pieces_.erase(ready);
    lock.unlock();
    send_part(index, piece, piece->written);
    lock.lock();
  }
}

void ObjectOutput::send_part(std::uint64_t index, std::shared_ptr<Piece> piece, std::uint64_t bytes) {
  if (index >= kMostParts)
    throw Error("{} has more parts than an object can have: copy to a directory, or take a full checkpoint", name());
  pool_.put([this, self = shared_from_this(), index, piece = std::move(piece), bytes] {
    before_sending_();
    const std::span<const std::byte> data = piece->memory.bytes().first(bytes);
    const std::string tag = client_.put_part(name_, begin_upload(), static_cast<unsigned>(index + 1), {data});
    const std::lock_guard lock(mutex_);
    if (tags_.size() <= index) tags_.resize(index + 1);
    tags_[index] = tag;
  });
}

std::string ObjectOutput::begin_upload() {
  const std::lock_guard lock(upload_mutex_);
  if (upload_.empty()) upload_ = client_.begin_upload(name_);
  return upload_;
}

void ObjectOutput::truncate(std::uint64_t end) {
  std::unique_lock lock(mutex_);
  check(written_ == end, "all of an object has been written when it ends");
  ended_ = true;
  end_ = end;
  if (end_ <= kLargestWhole) {
    lock.unlock();
    send_whole();
  } else {
    send_ready(lock);
    check(pieces_.empty(), "all pieces of an object that has ended are whole");
  }
}

void ObjectOutput::send_whole() {
  pool_.put([this, self = shared_from_this()] {
    before_sending_();
    std::vector<std::span<const std::byte>> body;
    for (const auto& [index, piece] : pieces_) body.push_back(piece->memory.bytes().first(length_of(index)));
    client_.put(name_, body);
    pieces_.clear();
    completed_ = true;
  });
}

void ObjectOutput::finish_writeback() {
  pool_.wait();
  check(ended_, "an object has ended before it is waited for");
  if (std::exchange(completed_, true)) return;
  client_.complete_upload(name_, begin_upload(), tags_, end_);
}

}  // namespace tintype
