// SPDX-License-Identifier: Apache-2.0
// A part of a checkpoint (memory.part, disk0.part) that somebody else wrote. The input is the file without the zeros
// behind its header. It is read as it is, then with all checksums set right, then with the index where the footer says
// as well, so that a change of one byte is not the end of it.
#include <unistd.h>

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <string>
#include <utility>

#include "checkpoint/format/compressor.h"
#include "checkpoint/format/part_chain.h"
#include "checkpoint/format/part_layout.h"
#include "checkpoint/format/part_reader.h"
#include "tests/fuzz/generator.h"
#include "tests/fuzz/promise.h"
#include "vmm/base/checksum.h"
#include "vmm/base/io.h"
#include "vmm/base/little_endian.h"
#include "vmm/base/zero_scan.h"

namespace tintype {
namespace {

using namespace part_layout;
using Bytes = std::vector<std::byte>;

// What one reading may cost: an entry of 40 bytes can stand for 16 MiB of zeros.
constexpr std::uint64_t kLargestRead = 64 * kBlockSize;
constexpr std::size_t kFooterIndex = 16, kFooterEntries = 24, kFooterIndexChecksum = 32, kEntryChecksum = 32;

/// A file in memory, the same for all inputs, that is opened by a path like any other.
class MemoryFile {
 public:
  MemoryFile() : fd_(::memfd_create("part", MFD_CLOEXEC)) { check(fd_.get() >= 0, "there is memory for a file"); }
  std::string path() const { return "/proc/self/fd/" + std::to_string(fd_.get()); }
  void set(std::span<const std::byte> bytes) {
    check(::ftruncate(fd_.get(), static_cast<off_t>(bytes.size())) == 0, "the file gets its length");
    write_exactly(fd_.get(), bytes, 0, path());
  }

 private:
  UniqueFd fd_;
};

void seal_tail(std::span<std::byte> bytes) {
  const auto body = bytes.first(bytes.size() - 8);
  store_number(bytes, body.size(), checksum_of(body));
}

Bytes expand(std::span<const std::byte> input) {
  Bytes file(kDataOffset);
  const std::size_t header = std::min(input.size(), kHeaderBytes);
  std::ranges::copy(input.first(header), file.begin());
  file.insert(file.end(), input.begin() + static_cast<std::ptrdiff_t>(header), input.end());
  return file;
}

/// The footer's numbers so that the index ends where it must.
void place_index(std::span<std::byte> file) {
  const auto footer = file.last(kFooterBytes);
  const std::uint64_t end = file.size() - kFooterBytes, most = (end - kDataOffset) / kEntryBytes;
  const std::uint64_t entries = std::min(load_number<std::uint64_t>(footer, kFooterEntries), most);
  store_number(footer, kFooterEntries, entries);
  store_number(footer, kFooterIndex, end - entries * kEntryBytes);
}

void seal_entries(std::span<std::byte> file, std::span<std::byte> index) {
  for (; index.size() >= kEntryBytes; index = index.subspan(kEntryBytes)) {
    const auto extent = decode_entry(index.first(kEntryBytes));
    if (!extent || extent->zero || extent->offset > file.size() || extent->stored_bytes > file.size() - extent->offset)
      continue;
    store_number(index, kEntryChecksum, checksum_of(file.subspan(extent->offset, extent->stored_bytes)));
  }
}

void seal(std::span<std::byte> file) {
  const auto footer = file.last(kFooterBytes);
  const auto start = load_number<std::uint64_t>(footer, kFooterIndex), end = file.size() - kFooterBytes;
  if (start >= kDataOffset && start <= end) {
    const auto index = file.subspan(start, end - start);
    seal_entries(file, index);
    store_number(footer, kFooterIndexChecksum, checksum_of(index));
  }
  seal_tail(file.first(kHeaderBytes));
  seal_tail(footer);
}

std::optional<Bytes> extent_of(const PartReader& part, const Extent& extent) {
  Bytes data(extent.data_bytes());
  try {
    part.read_extent(extent, data);
    return data;
  } catch (const ImageError&) {
    return std::nullopt;
  }
}

/// The part under another one that has every eighth block as zeros: what a chain of two shows.
PartChain chain_over(const std::string& path, const PartReader& part) {
  static MemoryFile upper;
  Bytes file(kDataOffset);
  std::ranges::copy(encode_header({part.kind(), part.content_bytes(), true}), file.begin());
  const std::uint64_t zeros = std::min<std::uint64_t>(part.blocks() / 8, 16);
  for (std::uint64_t i = 0; i < zeros; ++i) {
    file.resize(file.size() + kEntryBytes);
    encode_entry({.first_block = i * 8, .blocks = 1, .zero = true}, std::span(file).last(kEntryBytes));
  }
  const auto footer = encode_footer({0, zeros, 0});
  file.insert(file.end(), footer.begin(), footer.end());
  place_index(file);
  seal(file);
  upper.set(file);
  std::vector<std::unique_ptr<PartReader>> parts;
  parts.push_back(std::make_unique<PartReader>(upper.path()));
  parts.push_back(std::make_unique<PartReader>(path));
  return {"part", std::move(parts)};
}

bool replaced(std::uint64_t block, std::uint64_t blocks) {
  return block % 8 == 0 && block / 8 < std::min<std::uint64_t>(blocks / 8, 16);
}

void use_extent(const PartReader& part, const PartChain* chain, const Extent& extent) {
  if (extent.end_block() > part.blocks()) broken_promise("an extent lies in the part");
  if (extent.data_bytes() > kLargestRead) return;
  const auto whole = extent_of(part, extent);
  if (chain == nullptr) return;
  Bytes last(kBlockSize);
  try {
    const std::uint64_t block = extent.end_block() - 1;
    chain->read_blocks(block, last);
    if (replaced(block, part.blocks())) {
      if (!is_zero(last)) broken_promise("what a newer part has as zero is zero");
      return;
    }
    if (!whole || !std::ranges::equal(last, std::span(*whole).last(kBlockSize)))
      broken_promise("a block is what its extent holds");
  } catch (const ImageError&) {
    if (whole) broken_promise("a block of a sound extent can be read");
  }
}

void use(const PartReader& part, const PartChain* chain) {
  std::uint64_t stored = 0;
  for (const Extent& extent : part.extents().first(std::min<std::size_t>(part.extents().size(), 64))) {
    use_extent(part, chain, extent);
    stored += extent.stored_bytes;
  }
  if (stored > part.summary().file_bytes) broken_promise("extents do not overlap");
  try {
    part.check_gaps();
  } catch (const ImageError&) {
  }
}

void read(std::span<const std::byte> bytes) {
  static MemoryFile file;
  file.set(bytes);
  try {
    const PartReader part(file.path());
    std::optional<PartChain> chain;
    if (!part.incremental()) chain.emplace(chain_over(file.path(), part));
    use(part, chain ? &*chain : nullptr);
  } catch (const ImageError&) {
  }
}

Bytes pattern(std::uint64_t blocks) {
  Bytes data(blocks * kBlockSize);
  std::ranges::generate(data, [n = 0U]() mutable { return std::byte(++n / 64); });
  return data;
}

/// Puts an extent behind what the file holds already; its checksum comes with the seal.
Extent append_extent(Bytes& file, std::uint64_t first_block, std::mt19937_64& random) {
  Extent extent{.first_block = first_block, .blocks = static_cast<std::uint32_t>(1 + random() % 3)};
  extent.zero = random() % 4 == 0;
  if (extent.zero) return extent;
  Bytes stored = pattern(extent.blocks);
  if (random() % 8 != 0) {
    extent.codec = random() % 2 == 0 ? Compression::kLz4 : Compression::kZstd;
    Compressor compressor(extent.codec);
    Bytes packed(stored.size());
    packed.resize(compressor.compress(stored, packed));
    stored = std::move(packed);
  }
  extent.offset = file.size();
  extent.stored_bytes = stored.size();
  file.insert(file.end(), stored.begin(), stored.end());
  return extent;
}

Bytes sample_part(std::mt19937_64& random) {
  Bytes file(kDataOffset);
  const PartKind kind = random() % 2 == 0 ? PartKind::kMemory : PartKind::kDisk;
  const std::uint32_t format = random() % 4 == 0 ? kOldestFormat : kFormat;
  const bool incremental = format != kOldestFormat && random() % 4 == 0;
  std::ranges::copy(encode_header({kind, 64 * kBlockSize - random() % 8 * 512, incremental, format}), file.begin());
  std::vector<Extent> extents;
  for (std::uint64_t block = random() % 4; block < 32; block = extents.back().end_block() + random() % 16)
    extents.push_back(append_extent(file, block, random));
  for (const Extent& extent : extents) {
    file.resize(file.size() + kEntryBytes);
    encode_entry(extent, std::span(file).last(kEntryBytes));
  }
  const auto footer = encode_footer({0, extents.size(), 0, format});
  file.insert(file.end(), footer.begin(), footer.end());
  place_index(file);
  seal(file);
  return file;
}

}  // namespace

std::vector<std::uint8_t> generate_input(std::mt19937_64& random) {
  const Bytes file = sample_part(random);
  std::vector<std::uint8_t> input(file.size() - kDataOffset + kHeaderBytes);
  std::memcpy(input.data(), file.data(), kHeaderBytes);
  std::memcpy(input.data() + kHeaderBytes, file.data() + kDataOffset, file.size() - kDataOffset);
  return input;
}

}  // namespace tintype

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tintype;
  Bytes file = expand(std::as_bytes(std::span(data, size)));
  read(file);
  if (file.size() < kDataOffset + kFooterBytes) return 0;
  seal(file);
  read(file);
  place_index(file);
  seal(file);
  read(file);
  return 0;
}
