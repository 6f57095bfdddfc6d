// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>

#include "devices/device.h"

namespace tintype {

/// Maps address ranges to devices. Filled before the machine runs, only read afterwards (but for counts), so look-ups
/// take no lock.
class Bus {
 public:
  /// Throws tintype::Error where the range overlaps one that is attached already. The device must outlive the
  /// bus's use.
  void attach(std::uint64_t start, std::uint64_t length, BusDevice& device, const std::string& name);

  /// False where nobody answers (data is then all ones) or where the access crosses the end of a window.
  bool read(std::uint64_t address, std::span<std::byte> data) const noexcept;
  bool write(std::uint64_t address, std::span<const std::byte> data) const noexcept;

  /// The name under which the device at `address` was attached, or "" (for traces and exit reports).
  std::string name_at(std::uint64_t address) const;
  /// Each window's name, and how often it was read or written. Any thread.
  void for_each_count(const std::function<void(const std::string& name, std::uint64_t count)>& visit) const;

 private:
  struct Window {
    std::uint64_t length = 0;
    BusDevice* device = nullptr;
    std::string name;
    mutable std::atomic<std::uint64_t> uses = 0;
  };
  using Windows = std::map<std::uint64_t, Window>;
  Windows::const_iterator find(std::uint64_t address, std::uint64_t length) const noexcept;

  Windows windows_;
};

}  // namespace tintype
