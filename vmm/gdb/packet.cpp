// SPDX-License-Identifier: Apache-2.0
#include "vmm/gdb/packet.h"

#include <fmt/format.h>

namespace tintype {
namespace {

constexpr char kEscape = '}', kInterrupt = 3;
constexpr char kEscapeMask = 0x20;

std::uint8_t sum_of(std::string_view text) {
  std::uint8_t sum = 0;
  for (const char byte : text) sum = static_cast<std::uint8_t>(sum + static_cast<std::uint8_t>(byte));
  return sum;
}

/// -1 where it is none.
int digit_value(char digit) {
  if (digit >= '0' && digit <= '9') return digit - '0';
  if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
  if (digit >= 'A' && digit <= 'F') return digit - 'A' + 10;
  return -1;
}

std::string unescape(std::string_view body) {
  std::string data;
  for (std::size_t i = 0; i < body.size(); ++i) {
    const bool escaped = body[i] == kEscape && i + 1 < body.size();
    data += escaped ? static_cast<char>(body[++i] ^ kEscapeMask) : body[i];
  }
  return data;
}

}  // namespace

void PacketReader::add(std::string_view bytes) {
  for (const char byte : bytes) add(byte);
}

void PacketReader::add(char byte) {
  switch (state_) {
    case State::kOutside:
      if (byte == '$') state_ = State::kInside;
      if (byte == '-') ready_.push_back({GdbInput::Kind::kAgain, {}, true});
      if (byte == kInterrupt) ready_.push_back({GdbInput::Kind::kInterrupt, {}, true});
      body_.clear();
      return;
    case State::kInside:
      if (byte == '$')
        body_.clear();  // the one before was cut off
      else if (byte == '#')
        state_ = State::kFirstDigit;
      else
        body_ += byte;
      if (body_.size() > kMaximumPacket) state_ = State::kOutside;
      return;
    case State::kFirstDigit:
      digit_ = byte;
      state_ = State::kSecondDigit;
      return;
    case State::kSecondDigit:
      ready_.push_back(
          {GdbInput::Kind::kPacket, unescape(body_), digit_value(digit_) * 16 + digit_value(byte) == sum_of(body_)});
      state_ = State::kOutside;
      return;
  }
}

GdbInput PacketReader::next() {
  GdbInput input = std::move(ready_.front());
  ready_.pop_front();
  return input;
}

std::string as_packet(std::string_view data) {
  std::string body;
  for (const char byte : data) {
    const bool escape = byte == '$' || byte == '#' || byte == kEscape || byte == '*';
    if (escape) body += kEscape;
    body += escape ? static_cast<char>(byte ^ kEscapeMask) : byte;
  }
  return fmt::format("${}#{:02x}", body, sum_of(body));
}

std::string to_hex(std::span<const std::uint8_t> bytes) { return fmt::format("{:02x}", fmt::join(bytes, "")); }

std::optional<std::vector<std::uint8_t>> from_hex(std::string_view text) {
  if (text.size() % 2 != 0) return std::nullopt;
  std::vector<std::uint8_t> bytes;
  for (std::size_t i = 0; i < text.size(); i += 2) {
    const int high = digit_value(text[i]), low = digit_value(text[i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    bytes.push_back(static_cast<std::uint8_t>(high * 16 + low));
  }
  return bytes;
}

}  // namespace tintype
