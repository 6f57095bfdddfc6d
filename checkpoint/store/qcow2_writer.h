// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

namespace tintype {

/// Lays out a disk as a qcow2 image, version 3, of 64 KiB clusters: what is zero takes no room. Source of the format:
/// docs/interop/qcow2.txt in QEMU's source. No backing file, no snapshots, nothing compressed.
class Qcow2Writer {
 public:
  using Output = std::function<void(std::uint64_t offset, std::span<const std::byte> data)>;

  /// Of a disk of `bytes`, a multiple of 512. What `output` is never told to write must read as zeros.
  Qcow2Writer(std::uint64_t bytes, Output output);

  /// Contents of the disk. Offsets never go back.
  void write(std::uint64_t offset, std::span<const std::byte> data);
  /// All has been written: now the tables.
  void finish();

 private:
  using Table = std::vector<std::uint64_t>;

  std::uint64_t take_cluster() noexcept { return next_cluster_++; }
  void put(std::uint64_t cluster, std::span<const std::byte> data);
  void put_table(std::uint64_t cluster, const Table& table);
  void end_cluster();
  void put_l2_tables();
  void put_refcounts();
  void put_header();

  const std::uint64_t bytes_;
  const Output output_;
  std::uint64_t l1_cluster_, refcount_table_cluster_, refcount_table_clusters_;
  std::uint64_t next_cluster_;
  std::vector<Table> l2_tables_;               ///< by number; empty where nothing of it is data
  std::uint64_t current_ = ~std::uint64_t{0};  ///< cluster of the disk that `buffer_` holds
  std::vector<std::byte> buffer_;
};

}  // namespace tintype
