// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "checkpoint/format/part_format.h"

struct ZSTD_CCtx_s;

namespace tintype {

/// Compresses for one thread, keeping its buffers.
class Compressor {
 public:
  explicit Compressor(Compression codec);
  ~Compressor();
  Compressor(const Compressor&) = delete;
  Compressor& operator=(const Compressor&) = delete;

  /// Valid until the next call; empty where the data does not become smaller. The data may change meanwhile
  /// (it is copied first): the result is then that of some mixture.
  std::span<const std::byte> compress(std::span<const std::byte> data);

 private:
  Compression codec_;
  ZSTD_CCtx_s* zstd_ = nullptr;
  std::size_t capacity_ = 0;
  std::unique_ptr<std::byte[]> copy_, compressed_;
};

/// False where the bytes do not decompress to exactly as much as `into` holds.
[[nodiscard]] bool decompress(Compression codec, std::span<const std::byte> from, std::span<std::byte> into) noexcept;

}  // namespace tintype
