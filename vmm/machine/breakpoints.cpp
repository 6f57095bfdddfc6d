// SPDX-License-Identifier: Apache-2.0
#include "vmm/machine/breakpoints.h"

#include <algorithm>
#include <bit>
#include <utility>

namespace tintype {

namespace {

constexpr std::byte kInt3{0xcc};

}  // namespace

void SoftwareBreakpoints::add(Gpa at) {
  const auto found = std::find_if(places_.begin(), places_.end(), [at](const Place& place) { return place.at == at; });
  if (found != places_.end())
    ++found->uses;
  else
    places_.push_back({at});
}

void SoftwareBreakpoints::remove(Gpa at) {
  const auto found = std::find_if(places_.begin(), places_.end(), [at](const Place& place) { return place.at == at; });
  if (found != places_.end() && --found->uses == 0) places_.erase(found);
}

bool SoftwareBreakpoints::has(Gpa at) const noexcept {
  return std::any_of(places_.begin(), places_.end(), [at](const Place& place) { return place.at == at; });
}

void SoftwareBreakpoints::insert() noexcept {
  if (std::exchange(inserted_, true)) return;
  for (Place& place : places_) {
    place.own = memory_.load<std::byte>(place.at).value_or(kInt3);
    if (place.own != kInt3) static_cast<void>(memory_.store(place.at, kInt3));
  }
}

void SoftwareBreakpoints::withdraw() noexcept {
  if (!std::exchange(inserted_, false)) return;
  for (const Place& place : places_)
    if (memory_.load<std::byte>(place.at) == kInt3) static_cast<void>(memory_.store(place.at, place.own));
}

bool DebugRegisters::add(const Place& place) {
  if (places_.size() == kCount) return false;
  const bool fits = std::has_single_bit(place.length) && place.length <= 8 && place.address % place.length == 0;
  if (!fits || (place.kind == BreakKind::kHardware && place.length != 1)) return false;
  places_.push_back(place);
  return true;
}

void DebugRegisters::remove(const Place& place) {
  const auto found = std::find(places_.begin(), places_.end(), place);
  if (found != places_.end()) places_.erase(found);
}

std::optional<DebugRegisters::Place> DebugRegisters::hit(std::uint64_t dr6) const noexcept {
  for (std::size_t i = 0; i < places_.size(); ++i)
    if ((dr6 >> i & 1) != 0) return places_[i];
  return std::nullopt;
}

// DR7 (Intel SDM volume 3, 18.2.4): a bit that enables each, then for each what it watches and how many bytes.
std::array<std::uint64_t, 8> DebugRegisters::values(std::span<const std::uint64_t> more) const {
  constexpr std::uint64_t kAlwaysOne = 1 << 10, kExact = 1 << 9, kWrites = 1, kReadsAndWrites = 3;
  constexpr std::uint64_t kLengths[] = {0, 0, 1, 0, 3, 0, 0, 0, 2};
  std::array<std::uint64_t, 8> values{};
  values[7] = kAlwaysOne | kExact;
  std::size_t i = 0;
  for (const Place& place : places_) {
    const std::uint64_t what = place.kind == BreakKind::kWrite    ? kWrites
                               : place.kind == BreakKind::kAccess ? kReadsAndWrites
                                                                  : 0;
    values[i] = place.address;
    values[7] |= 2ULL << (2 * i) | (what | kLengths[place.length] << 2) << (16 + 4 * i);
    ++i;
  }
  for (const std::uint64_t address : more) {
    if (i == kCount) break;
    values[i] = address;
    values[7] |= 2ULL << (2 * i);
    ++i;
  }
  return values;
}

}  // namespace tintype
