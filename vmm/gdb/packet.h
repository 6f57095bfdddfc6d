// SPDX-License-Identifier: Apache-2.0
#pragma once

// Packets of gdb's remote serial protocol (gdb manual, appendix E.1): `$data#checksum`, answered by `+` or `-`.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tintype {

/// The longest packet that is taken, and that gdb is told to send.
inline constexpr std::size_t kMaximumPacket = 16 << 10;

/// Something that gdb has sent.
struct GdbInput {
  enum class Kind : std::uint8_t { kPacket, kInterrupt, kAgain };  ///< a packet; Ctrl-C; `-`: send the last one again
  Kind kind = Kind::kPacket;
  std::string data;   ///< of a packet, escapes undone
  bool sound = true;  ///< its checksum was right
};

/// Cuts bytes, as they come, into packets. What is between packets and means nothing is left out.
class PacketReader {
 public:
  void add(std::string_view bytes);
  bool empty() const noexcept { return ready_.empty(); }
  /// Not empty.
  GdbInput next();

 private:
  void add(char byte);
  void end_packet();

  enum class State : std::uint8_t { kOutside, kInside, kFirstDigit, kSecondDigit };
  State state_ = State::kOutside;
  std::string body_;  ///< as it came
  char digit_ = 0;
  std::deque<GdbInput> ready_;
};

/// With its frame, and with what must not stand in a packet escaped.
std::string as_packet(std::string_view data);

std::string to_hex(std::span<const std::uint8_t> bytes);
/// Nothing where it is none.
std::optional<std::vector<std::uint8_t>> from_hex(std::string_view text);

}  // namespace tintype
