// SPDX-License-Identifier: Apache-2.0
#include "vmm/boot/placement.h"

#include <algorithm>

#include "vmm/base/error.h"
#include "vmm/base/overflow.h"
#include "vmm/boot/image.h"

namespace tintype {

namespace {

constexpr std::uint64_t kMebibyte = 1 << 20;

std::string title(const LoadedPart& part) {
  return part.image.empty() ? fmt::format("the {}", part.name) : fmt::format("the {} of {}", part.name, part.image);
}

/// How much memory a machine must have so that `end` is not past it; nothing where no amount would do.
std::optional<std::uint64_t> memory_needed(std::uint64_t start, std::uint64_t end) {
  if (end <= kHoleStart) return end;
  if (start < kHoleEnd || end > kMaximumMemory) return std::nullopt;
  return end - (kHoleEnd - kHoleStart);
}

[[noreturn]] void throw_not_memory(const LoadedPart& part, std::optional<std::uint64_t> end) {
  const auto needed = end ? memory_needed(part.start, *end) : std::nullopt;
  if (!needed) {
    throw Error("{} is to lie at {:#x}, {:#x} bytes long, where no machine has memory: link it below 3 GiB",
                title(part), part.start, part.size);
  }
  throw Error("{} does not fit into the machine's memory: give it at least --memory {}M", title(part),
              align_up(*needed, kMebibyte) / kMebibyte);
}

bool overlap(const LoadedPart& part, std::uint64_t start, std::uint64_t size) {
  return start < part.start + part.size && part.start < start + size;
}

}  // namespace

const LoadedPart* find_part(std::span<const LoadedPart> parts, std::uint64_t address) noexcept {
  const auto holds = [&](const LoadedPart& part) { return address >= part.start && address - part.start < part.size; };
  const auto found = std::ranges::find_if(parts, holds);
  return found == parts.end() ? nullptr : &*found;
}

void Placement::check_in_memory(const LoadedPart& part) const {
  if (memory_.contains(Gpa(part.start), part.size)) return;
  throw_not_memory(part, checked_add(part.start, part.size));
}

void Placement::claim(LoadedPart part) {
  if (part.size == 0) return;
  check_in_memory(part);
  if (const LoadedPart* other = overlapping(part.start, part.size)) {
    throw Error("{} would lie at {:#x}, on {}: link it elsewhere, best at 1 MiB", title(part), part.start,
                title(*other));
  }
  parts_.push_back(std::move(part));
}

void Placement::reserve(std::initializer_list<BootArea> areas) {
  for (const BootArea& area : areas) {
    claim({.image = {},
           .name = std::string(area.name),
           .start = area.start,
           .size = area.size,
           .virtual_start = area.start});
  }
}

void Placement::put(const BootArea& area, std::span<const std::byte> bytes) {
  const LoadedPart* part = find_part(parts_, area.start);
  check(part != nullptr && part->name == area.name, "a boot area is reserved before it is filled");
  check(bytes.size() <= area.size, "what is put into a boot area fits it");
  check(memory_.write(Gpa(area.start), bytes), "a reserved boot area is memory");
}

void Placement::load(const ImageFile& file, LoadedPart part) {
  check(part.file_size <= part.size, "a part of a file fits the place claimed for it");
  file.check_range(part.file_offset, part.file_size, part.name);
  const std::uint64_t start = part.start, offset = part.file_offset, size = part.file_size;
  claim(std::move(part));
  if (size == 0) return;
  file.read(offset, memory_.writable_view(Gpa(start), size));
  memory_.mark_dirty(Gpa(start), size);
}

const LoadedPart* Placement::overlapping(std::uint64_t start, std::uint64_t size) const noexcept {
  const auto found = std::ranges::find_if(parts_, [&](const LoadedPart& part) { return overlap(part, start, size); });
  return found == parts_.end() ? nullptr : &*found;
}

std::optional<std::uint64_t> Placement::highest_free(std::uint64_t size, std::uint64_t from,
                                                     std::uint64_t to) const noexcept {
  while (size != 0 && to >= size && to - size >= from) {
    const std::uint64_t start = align_down(to - size, kPageSize);
    if (start < from) break;
    const LoadedPart* other = overlapping(start, size);
    if (other == nullptr) return memory_.contains(Gpa(start), size) ? std::optional(start) : std::nullopt;
    to = other->start;
  }
  return std::nullopt;
}

std::optional<std::uint64_t> Placement::lowest_free(std::uint64_t size, std::uint64_t from,
                                                    std::uint64_t to) const noexcept {
  while (size != 0 && from <= to) {
    const std::uint64_t start = align_up(from, kPageSize);
    if (start > to || to - start < size) break;
    const LoadedPart* other = overlapping(start, size);
    if (other == nullptr) return memory_.contains(Gpa(start), size) ? std::optional(start) : std::nullopt;
    from = other->start + other->size;
  }
  return std::nullopt;
}

}  // namespace tintype
