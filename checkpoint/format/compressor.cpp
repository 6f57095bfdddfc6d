// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/format/compressor.h"

#include <lz4.h>
#include <zstd.h>

#include <cstring>
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

std::span<const std::byte> Compressor::compress(std::span<const std::byte> data) {
  if (data.size() > capacity_) {
    copy_ = std::make_unique_for_overwrite<std::byte[]>(data.size());
    compressed_ = std::make_unique_for_overwrite<std::byte[]>(data.size());
    capacity_ = data.size();
  }
  // Neither library promises anything for data that changes under it.
  std::memcpy(copy_.get(), data.data(), data.size());
  const std::size_t room = data.size() - 1;
  std::size_t size = 0;
  if (codec_ == Compression::kLz4) {
    size = static_cast<std::size_t>(LZ4_compress_default(reinterpret_cast<const char*>(copy_.get()),
                                                         reinterpret_cast<char*>(compressed_.get()),
                                                         static_cast<int>(data.size()), static_cast<int>(room)));
  } else {
    size = ZSTD_compressCCtx(zstd_, compressed_.get(), room, copy_.get(), data.size(), kZstdLevel);
    if (ZSTD_isError(size) != 0) size = 0;
  }
  return {compressed_.get(), size};
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
