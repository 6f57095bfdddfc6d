// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>

#include "checkpoint/format/part_format.h"

struct ZSTD_CCtx_s;

namespace tintype {

/// Compresses for one thread at a time.
class Compressor {
 public:
  explicit Compressor(Compression codec);
  ~Compressor();
  Compressor(const Compressor&) = delete;
  Compressor& operator=(const Compressor&) = delete;

  /// How many bytes of `into` it fills; 0 where they are too few. The data holds still: neither library promises
  /// anything for data that changes under it.
  std::size_t compress(std::span<const std::byte> data, std::span<std::byte> into);

 private:
  Compression codec_;
  ZSTD_CCtx_s* zstd_ = nullptr;
};

/// False where the bytes do not decompress to exactly as much as `into` holds.
[[nodiscard]] bool decompress(Compression codec, std::span<const std::byte> from, std::span<std::byte> into) noexcept;

}  // namespace tintype
