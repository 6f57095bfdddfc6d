// SPDX-License-Identifier: Apache-2.0
#pragma once

// A checkpoint on its way through a pipe: frames, each with a number and a checksum (checkpoint/FORMAT.md, "Stream").

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/format/part_format.h"

namespace tintype {

enum class FrameKind : std::uint32_t {
  kCheckpoint = 1,  ///< the manifest of one that is listed where it comes from
  kBase = 2,        ///< the manifest of one that was deleted there, and that those behind it build on
  kFile = 3,        ///< the name of one of its files
  kData = 4,        ///< the next bytes of that file
  kSealed = 5,      ///< the checkpoint is whole
  kEnd = 6,         ///< nothing more comes
};

struct Frame {
  FrameKind kind = FrameKind::kEnd;
  std::span<const std::byte> payload;  ///< until the next one comes
  std::string_view text() const noexcept { return {reinterpret_cast<const char*>(payload.data()), payload.size()}; }
};

/// Where a stream goes, and where it comes from. One takes all; the other gives some, and 0 at the end. Both throw.
using PutBytes = std::function<void(std::span<const std::byte> bytes)>;
using GetBytes = std::function<std::size_t(std::span<std::byte> into)>;
/// Of a descriptor of any kind, which stays the caller's. They throw std::system_error.
PutBytes put_to(int fd);
GetBytes get_from(int fd);

/// No frame is longer.
inline constexpr std::uint64_t kMaximumFrameBytes = 1 << 20;

/// The stream ends before its end.
class StreamCut : public ImageError {
 public:
  StreamCut() : ImageError("the stream ends too early") {}
};

class StreamWriter {
 public:
  /// Writes the header. Everything throws what `put` throws.
  explicit StreamWriter(PutBytes put);
  void put(FrameKind kind, std::span<const std::byte> payload);
  void put(FrameKind kind, std::string_view text) { put(kind, std::as_bytes(std::span(text))); }

 private:
  const PutBytes put_;
  std::vector<std::byte> frame_;  ///< room for the longest so far
  std::uint64_t number_ = 0;
};

/// From anywhere: nothing is believed that its checksum does not confirm, and a length only up to the maximum.
class StreamReader {
 public:
  /// Reads the header. Everything throws ImageError where the stream is none, is damaged, or is cut (StreamCut), and
  /// what `get` throws.
  explicit StreamReader(GetBytes get);
  Frame next();

 private:
  void read_all(std::span<std::byte> into);

  const GetBytes get_;
  std::vector<std::byte> frame_;  ///< room for the longest so far
  std::uint64_t number_ = 0;
};

}  // namespace tintype
