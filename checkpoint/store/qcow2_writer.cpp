// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/store/qcow2_writer.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "vmm/base/error.h"
#include "vmm/base/zero_scan.h"

namespace tintype {
namespace {

constexpr std::uint32_t kClusterBits = 16;
constexpr std::uint64_t kCluster = 1 << kClusterBits;
constexpr std::uint64_t kEntries = kCluster / 8;    ///< of a table
constexpr std::uint64_t kRefcounts = kCluster / 2;  ///< of 16 bits, in a block
constexpr std::uint64_t kCopied = 1ULL << 63;       ///< the cluster belongs to this entry alone

/// Numbers in the file are big-endian.
template <typename T>
T big_endian(T value) noexcept {
  if constexpr (sizeof(T) == 8) return __builtin_bswap64(value);
  if constexpr (sizeof(T) == 4) return __builtin_bswap32(value);
  return __builtin_bswap16(value);
}

struct Header {
  std::uint32_t magic = big_endian(0x514649fbU);          // 0    "QFI", 0xfb
  std::uint32_t version = big_endian(3U);                 // 4
  std::uint64_t backing_file_offset = 0;                  // 8
  std::uint32_t backing_file_size = 0;                    // 16
  std::uint32_t cluster_bits = big_endian(kClusterBits);  // 20
  std::uint64_t size = 0;                                 // 24   of the disk
  std::uint32_t crypt_method = 0;                         // 32
  std::uint32_t l1_size = 0;                              // 36   entries
  std::uint64_t l1_table_offset = 0;                      // 40
  std::uint64_t refcount_table_offset = 0;                // 48
  std::uint32_t refcount_table_clusters = 0;              // 56
  std::uint32_t nb_snapshots = 0;                         // 60
  std::uint64_t snapshots_offset = 0;                     // 64
  std::uint64_t incompatible_features = 0;                // 72
  std::uint64_t compatible_features = 0;                  // 80
  std::uint64_t autoclear_features = 0;                   // 88
  std::uint32_t refcount_order = big_endian(4U);          // 96   16 bits
  std::uint32_t header_length = big_endian(104U);         // 100
};
static_assert(sizeof(Header) == 104);

constexpr std::uint64_t divide_up(std::uint64_t value, std::uint64_t by) noexcept { return (value + by - 1) / by; }

}  // namespace

// Header, L1 table and the refcount table (large enough for the worst case) come first; then data in its order, then
// what speaks of it.
Qcow2Writer::Qcow2Writer(std::uint64_t bytes, Output output)
    : bytes_(bytes), output_(std::move(output)), l2_tables_(divide_up(bytes, kCluster * kEntries)), buffer_(kCluster) {
  const std::uint64_t most = divide_up(bytes, kCluster) + 2 * l2_tables_.size() + 16;
  const std::uint64_t refcount_blocks = divide_up(most, kRefcounts - 16) + 1;
  l1_cluster_ = 1;
  refcount_table_cluster_ = l1_cluster_ + divide_up(l2_tables_.size(), kEntries);
  refcount_table_clusters_ = divide_up(refcount_blocks, kEntries);
  next_cluster_ = refcount_table_cluster_ + refcount_table_clusters_;
}

void Qcow2Writer::write(std::uint64_t offset, std::span<const std::byte> data) {
  while (!data.empty()) {
    const std::uint64_t cluster = offset / kCluster;
    check(current_ == ~std::uint64_t{0} || cluster >= current_, "a qcow2 image is written in order");
    if (cluster != current_) end_cluster();
    current_ = cluster;
    const auto part = data.first(std::min<std::uint64_t>(data.size(), kCluster - offset % kCluster));
    std::memcpy(buffer_.data() + offset % kCluster, part.data(), part.size());
    offset += part.size();
    data = data.subspan(part.size());
  }
}

void Qcow2Writer::end_cluster() {
  if (current_ != ~std::uint64_t{0} && !is_zero(buffer_)) {
    Table& table = l2_tables_[current_ / kEntries];
    table.resize(kEntries);
    const std::uint64_t place = take_cluster();
    table[current_ % kEntries] = place * kCluster | kCopied;
    put(place, buffer_);
  }
  std::fill(buffer_.begin(), buffer_.end(), std::byte{0});
}

void Qcow2Writer::put(std::uint64_t cluster, std::span<const std::byte> data) { output_(cluster * kCluster, data); }

void Qcow2Writer::put_table(std::uint64_t cluster, const Table& table) {
  Table swapped(table.size());
  std::transform(table.begin(), table.end(), swapped.begin(), big_endian<std::uint64_t>);
  put(cluster, std::as_bytes(std::span(swapped)));
}

void Qcow2Writer::finish() {
  end_cluster();
  put_l2_tables();
  put_refcounts();
  put_header();
}

void Qcow2Writer::put_l2_tables() {
  Table l1(divide_up(l2_tables_.size(), kEntries) * kEntries);
  for (std::size_t i = 0; i < l2_tables_.size(); ++i) {
    if (l2_tables_[i].empty()) continue;
    const std::uint64_t place = take_cluster();
    l1[i] = place * kCluster | kCopied;
    put_table(place, l2_tables_[i]);
  }
  put_table(l1_cluster_, l1);
}

// Every cluster of the file is used once, those of the refcount blocks included. The last block is written whole, so
// that the file ends with it at the end of a cluster.
void Qcow2Writer::put_refcounts() {
  std::uint64_t blocks = 0;
  while (blocks * kRefcounts < next_cluster_ + blocks) ++blocks;
  Table table(refcount_table_clusters_ * kEntries);
  const std::uint64_t first = next_cluster_, end = next_cluster_ + blocks;
  for (std::uint64_t block = 0; block < blocks; ++block) {
    table[block] = (first + block) * kCluster;
    std::vector<std::uint16_t> counts(kRefcounts);
    const std::uint64_t used = std::min(kRefcounts, end - block * kRefcounts);
    std::fill_n(counts.begin(), used, big_endian(std::uint16_t{1}));
    put(take_cluster(), std::as_bytes(std::span(counts)));
  }
  put_table(refcount_table_cluster_, table);
}

void Qcow2Writer::put_header() {
  Header header;
  header.size = big_endian(bytes_);
  header.l1_size = big_endian(static_cast<std::uint32_t>(l2_tables_.size()));
  header.l1_table_offset = big_endian(l1_cluster_ * kCluster);
  header.refcount_table_offset = big_endian(refcount_table_cluster_ * kCluster);
  header.refcount_table_clusters = big_endian(static_cast<std::uint32_t>(refcount_table_clusters_));
  std::vector<std::byte> cluster(kCluster);  // zeros behind it: no header extensions
  std::memcpy(cluster.data(), &header, sizeof header);
  put(0, cluster);
}

}  // namespace tintype
