// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/block/disk_model.h"

#include <algorithm>
#include <cstring>

namespace tintype {
namespace {

constexpr DiskModel::Time kLongestRead = 20'000;  ///< no read is in flight while the clock ticks so often

std::uint64_t word_at(std::span<const std::byte> data, std::size_t index) {
  std::uint64_t word = 0;
  std::memcpy(&word, data.data() + index * sizeof word, sizeof word);
  return word;
}

std::string describe(std::uint64_t word) { return fmt::format("write {} of sector {}", word >> 32, word & 0xffffffff); }

std::string describe(const std::vector<DiskModel::Value>& values) {
  std::string text;
  for (const auto& value : values) {
    text += fmt::format(" {}[{}..{}..{}]", value.tag, value.begun, static_cast<std::int64_t>(value.ended),
                        static_cast<std::int64_t>(value.superseded));
  }
  return text;
}

}  // namespace

void DiskModel::fill(std::span<std::byte> data, Tag tag, std::uint64_t first_sector) {
  for (std::size_t i = 0; i < data.size() / 8; ++i) {
    const std::uint64_t value = word(tag, first_sector + i / 64);
    std::memcpy(data.data() + i * 8, &value, 8);
  }
}

DiskModel::Tag DiskModel::begin_write(const SectorRange& range, bool zeros) {
  const Tag tag = ++last_tag_;
  const Time time = now();
  for (std::uint64_t sector = range.start; sector < range.end; ++sector)
    sectors_[sector].push_back({tag, time, kNever, kNever, zeros});
  return tag;
}

void DiskModel::end_write(const SectorRange& range, Tag tag, bool succeeded) {
  const Time time = now();
  for (std::uint64_t sector = range.start; sector < range.end; ++sector) {
    auto& values = sectors_[sector];
    const auto own = std::find_if(values.begin(), values.end(), [&](const Value& value) { return value.tag == tag; });
    own->ended = time;
    if (!succeeded) continue;
    for (Value& value : values) {
      if (value.ended < own->begun) value.superseded = std::min(value.superseded, time);
    }
  }
}

std::string DiskModel::check_read(const SectorRange& range, std::span<const std::byte> data, Time begun) {
  const Time time = now();
  for (std::uint64_t sector = range.start; sector < range.end; ++sector) {
    auto& values = sectors_[sector];
    const auto allowed = [&](std::uint64_t seen) {
      return std::any_of(values.begin(), values.end(),
                         [&](const Value& value) { return value.word(sector) == seen && value.superseded > begun; });
    };
    const std::size_t first = (sector - range.start) * 64;
    for (std::size_t i = first; i < first + 64; ++i) {
      if (!allowed(word_at(data, i))) {
        return fmt::format("a read from {} to {} sees {} in sector {}, of which these are known:{}", begun, time,
                           describe(word_at(data, i)), sector, describe(values));
      }
    }
    const bool quiet =
        std::all_of(values.begin(), values.end(), [&](const Value& value) { return value.ended < begun; });
    const std::uint64_t seen = word_at(data, first);
    if (!quiet || word_at(data, first + 63) != seen) continue;
    for (Value& value : values) {  // nothing was going on: what begins after this may see only the same
      if (value.word(sector) != seen) value.superseded = std::min(value.superseded, time);
    }
    std::erase_if(values, [&](const Value& value) {
      return value.superseded < kNever && value.superseded + kLongestRead < time;
    });
  }
  return {};
}

std::string DiskModel::check_frozen(const SectorRange& range, std::span<const std::byte> data) const {
  DiskModel copy = *this;
  return copy.check_read(range, data, clock_);
}

}  // namespace tintype
