// SPDX-License-Identifier: Apache-2.0
#include "vmm/boot/command_line.h"

#include <algorithm>

#include "vmm/base/error.h"
#include "vmm/boot/placement.h"

namespace tintype {

namespace {

constexpr std::string_view kVirtioOption = "virtio_mmio.device=";

/// As Linux writes sizes.
std::string short_size(std::uint64_t bytes) {
  return bytes % 1024 == 0 ? fmt::format("{}K", bytes / 1024) : fmt::format("{}", bytes);
}

}  // namespace

std::string with_virtio_slots(const std::string& append, const std::vector<VirtioSlot>& slots) {
  if (append.find(kVirtioOption) != std::string::npos) return append;
  std::string line = append;
  for (const VirtioSlot& slot : slots) {
    if (!line.empty()) line += ' ';
    line += fmt::format("{}{}@{:#x}:{}", kVirtioOption, short_size(slot.size), slot.base, slot.irq);
  }
  return line;
}

std::uint64_t command_line_limit() noexcept { return kCommandLineArea.size - 1; }

std::uint64_t place_command_line(const std::string& line, std::uint64_t limit, Placement& placement) {
  limit = std::min(limit, command_line_limit());
  if (line.size() > limit) {
    throw Error("the kernel's command line has {} bytes, but this kernel takes {} at most: shorten --append",
                line.size(), limit);
  }
  if (line.find('\0') != std::string::npos)
    throw Error("the kernel's command line holds a zero byte: take it out of --append");
  placement.put(kCommandLineArea, std::as_bytes(std::span(line.c_str(), line.size() + 1)));
  return kCommandLineArea.start;
}

}  // namespace tintype
