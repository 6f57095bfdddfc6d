// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/format/compressor.h"

#include <lz4.h>
#include <zstd.h>

#include <new>

namespace tintype {
namespace {

constexpr int kZstdLevel = 1;

}  // namespace

Compressor::Compressor(Compression codec) : codec_(codec) {
  if (codec_ != Compression::kZstd) return;
  zstd_ = ZSTD_createCCtx();
  if (zstd_ == nullptr) throw std::bad_alloc();
}

Compressor::~Compressor() { ZSTD_freeCCtx(zstd_); }

std::size_t Compressor::compress(std::span<const std::byte> data, std::span<std::byte> into) {
  if (codec_ == Compression::kLz4) {
    return static_cast<std::size_t>(LZ4_compress_default(reinterpret_cast<const char*>(data.data()),
                                                         reinterpret_cast<char*>(into.data()),
                                                         static_cast<int>(data.size()), static_cast<int>(into.size())));
  }
  const std::size_t size = ZSTD_compressCCtx(zstd_, into.data(), into.size(), data.data(), data.size(), kZstdLevel);
  return ZSTD_isError(size) != 0 ? 0 : size;
}

bool decompress(Compression codec, std::span<const std::byte> from, std::span<std::byte> into) noexcept {
  if (codec == Compression::kLz4) {
    const int size =
        LZ4_decompress_safe(reinterpret_cast<const char*>(from.data()), reinterpret_cast<char*>(into.data()),
                            static_cast<int>(from.size()), static_cast<int>(into.size()));
    return size >= 0 && static_cast<std::size_t>(size) == into.size();
  }
  if (codec == Compression::kZstd)
    return ZSTD_decompress(into.data(), into.size(), from.data(), from.size()) == into.size();
  return false;
}

}  // namespace tintype
