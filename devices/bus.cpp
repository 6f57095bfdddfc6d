// SPDX-License-Identifier: Apache-2.0
#include "devices/bus.h"

#include <algorithm>
#include <iterator>

#include "vmm/base/error.h"
#include "vmm/base/overflow.h"

namespace tintype {

void Bus::attach(std::uint64_t start, std::uint64_t length, BusDevice& device, const std::string& name) {
  check(length > 0 && checked_add(start, length - 1).has_value(), "a bus window is not empty and does not wrap around");
  const auto next = windows_.lower_bound(start);
  const bool hits_next = next != windows_.end() && next->first - start < length;
  const bool hits_previous =
      next != windows_.begin() && start - std::prev(next)->first < std::prev(next)->second.length;
  if (hits_next || hits_previous) {
    throw Error("{} at {:#x} overlaps {}, which is attached already; give it an address of its own", name, start,
                hits_next ? next->second.name : std::prev(next)->second.name);
  }
  Window& window = windows_[start];
  window.length = length;
  window.device = &device;
  window.name = name;
}

Bus::Windows::const_iterator Bus::find(std::uint64_t address, std::uint64_t length) const noexcept {
  auto window = windows_.upper_bound(address);
  if (window == windows_.begin()) return windows_.end();
  --window;
  return range_fits(address - window->first, length, window->second.length) ? window : windows_.end();
}

bool Bus::read(std::uint64_t address, std::span<std::byte> data) const noexcept {
  const auto window = find(address, data.size());
  if (window == windows_.end()) {
    std::ranges::fill(data, std::byte{0xff});
    return false;
  }
  window->second.uses.fetch_add(1, std::memory_order_relaxed);
  window->second.device->bus_read(address - window->first, data);
  return true;
}

bool Bus::write(std::uint64_t address, std::span<const std::byte> data) const noexcept {
  const auto window = find(address, data.size());
  if (window == windows_.end()) return false;
  window->second.uses.fetch_add(1, std::memory_order_relaxed);
  window->second.device->bus_write(address - window->first, data);
  return true;
}

std::string Bus::name_at(std::uint64_t address) const {
  const auto window = find(address, 1);
  return window == windows_.end() ? "" : window->second.name;
}

void Bus::for_each_count(const std::function<void(const std::string& name, std::uint64_t count)>& visit) const {
  for (const auto& [start, window] : windows_) visit(window.name, window.uses.load(std::memory_order_relaxed));
}

}  // namespace tintype
