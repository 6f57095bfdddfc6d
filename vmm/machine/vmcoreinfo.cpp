// SPDX-License-Identifier: Apache-2.0
#include "vmm/machine/vmcoreinfo.h"

#include <algorithm>
#include <charconv>
#include <vector>

namespace tintype {

namespace {

constexpr std::string_view kFirstKey = "OSRELEASE=";
// Lines that every kernel of x86-64 writes. A page of somebody's notes about kernels hardly has them all.
constexpr std::string_view kOthers[] = {"\nPAGESIZE=4096\n", "\nSYMBOL(init_uts_ns)=", "\nNUMBER(phys_base)="};

template <typename T>
T number_in(std::string_view text, int base) {
  T value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value, base);
  return value;
}

bool is_text(char byte) { return byte == '\n' || (byte >= ' ' && byte <= '~'); }

}  // namespace

std::optional<std::string> vmcoreinfo_in(std::span<const std::byte> page) {
  const std::string_view bytes(reinterpret_cast<const char*>(page.data()), page.size());
  if (!bytes.starts_with(kFirstKey)) return std::nullopt;
  const std::string_view text = bytes.substr(0, bytes.find('\0'));
  const bool sound = std::ranges::all_of(text, is_text) && text.ends_with('\n') &&
                     std::ranges::all_of(kOthers, [&](std::string_view line) { return text.find(line) != text.npos; });
  return sound ? std::optional(std::string(text)) : std::nullopt;
}

std::string find_vmcoreinfo(const BlockSource& memory) {
  std::vector<BlockSource::Run> runs;
  std::vector<std::byte> data;
  for (std::size_t number = 0; number < memory.extent_count(); ++number) {
    memory.runs_in(number, runs);
    if (runs.empty()) continue;
    const Extent& extent = memory.extent(number);
    data.resize(extent.data_bytes());
    memory.read_extent(number, data);
    for (const BlockSource::Run& run : runs) {
      for (std::uint64_t block = run.first_block; block < run.end_block(); ++block) {
        if (auto text = vmcoreinfo_in(std::span(data).subspan((block - extent.first_block) * kBlockSize, kBlockSize)))
          return *std::move(text);
      }
    }
  }
  return "";
}

std::string_view vmcoreinfo_value(std::string_view text, std::string_view key) {
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view line = text.substr(begin, end - begin);
    if (line.starts_with(key) && line.substr(key.size()).starts_with('=')) return line.substr(key.size() + 1);
    begin = end + 1;
  }
  return "";
}

std::uint64_t vmcoreinfo_hex(std::string_view text, std::string_view key) {
  return number_in<std::uint64_t>(vmcoreinfo_value(text, key), 16);
}

std::uint64_t linux_shift(std::string_view text) {
  const auto base = number_in<std::int64_t>(vmcoreinfo_value(text, "NUMBER(phys_base)"), 10);
  return static_cast<std::uint64_t>(base) - kLinuxMap;
}

}  // namespace tintype
