// SPDX-License-Identifier: Apache-2.0
#pragma once

// `--trace`: what a machine does, a line each on stderr, for a person or as JSON. A process has one machine, so what is
// traced is chosen once for all of it. Whoever has something to tell asks first whether that is wanted, which costs one
// look at one word of memory:
//
//   if (traces(TraceKind::kVirtio)) TraceLine(TraceKind::kVirtio, "read").text("device", name).put();

#include <array>
#include <atomic>
#include <cstdint>
#include <string_view>

#include "vmm/base/words.h"

namespace tintype {

enum class TraceKind : std::uint8_t { kExits, kPio, kMmio, kVirtio, kFaults, kInterrupts };

template <>
inline constexpr auto kWords<TraceKind> = std::to_array<Word<TraceKind>>({{TraceKind::kExits, "exits"},
                                                                          {TraceKind::kPio, "pio"},
                                                                          {TraceKind::kMmio, "mmio"},
                                                                          {TraceKind::kVirtio, "virtio"},
                                                                          {TraceKind::kFaults, "faults"},
                                                                          {TraceKind::kInterrupts, "interrupts"}});

/// What `--trace` asked for.
struct TraceConfig {
  std::uint32_t kinds = 0;  ///< a bit each
  bool json = false;        ///< JSON lines: an object each

  static constexpr std::uint32_t bit(TraceKind kind) noexcept { return 1U << static_cast<unsigned>(kind); }
  void add(TraceKind kind) noexcept { kinds |= bit(kind); }
  /// Any of what a vCPU's exits show.
  bool shows_exits() const noexcept {
    return (kinds & (bit(TraceKind::kExits) | bit(TraceKind::kPio) | bit(TraceKind::kMmio))) != 0;
  }
};

/// Times in lines count from here. Before the machine runs.
void start_trace(const TraceConfig& config) noexcept;

namespace trace_detail {
inline std::atomic<std::uint32_t> wanted = 0;
}  // namespace trace_detail

inline bool traces(TraceKind kind) noexcept {
  return (trace_detail::wanted.load(std::memory_order_relaxed) & TraceConfig::bit(kind)) != 0;
}

/// A line of it: when, what kind, what, and any number of named values, in the order in which they are given. No memory
/// is allocated; what does not fit into a line is left out, whole values at a time.
class TraceLine {
 public:
  TraceLine(TraceKind kind, std::string_view what) noexcept;

  TraceLine& number(std::string_view name, std::uint64_t value) noexcept;
  /// Hexadecimal for people, a number in JSON.
  TraceLine& address(std::string_view name, std::uint64_t value) noexcept;
  TraceLine& text(std::string_view name, std::string_view value) noexcept;

  /// Writes it: one write(2), so that lines of several threads do not mix.
  void put() noexcept;

 private:
  void append(std::string_view piece) noexcept;
  /// Another value, where there is room for all of it.
  void value(std::string_view name, std::string_view for_people, std::string_view in_json) noexcept;

  static constexpr std::size_t kRoomToEnd = 2;  // "}\n"
  std::array<char, 1024> line_{};
  std::size_t used_ = 0;
};

}  // namespace tintype
