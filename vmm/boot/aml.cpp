// SPDX-License-Identifier: Apache-2.0
#include "vmm/boot/aml.h"

#include <string>

#include "vmm/base/error.h"

namespace tintype::aml {

namespace {

constexpr std::uint8_t kZero = 0x00, kOne = 0x01;
constexpr std::uint8_t kName = 0x08, kByte = 0x0a, kWord = 0x0b, kDword = 0x0c, kString = 0x0d, kQword = 0x0e;
constexpr std::uint8_t kScope = 0x10, kBuffer = 0x11, kPackage = 0x12, kMethod = 0x14, kNotify = 0x86;
constexpr std::uint8_t kExtended = 0x5b, kDevice = 0x82;

constexpr std::uint8_t kIoPorts = 0x47, kDecode16Bits = 1;
constexpr std::uint8_t kIsaInterrupt = 0x22;
constexpr std::uint8_t kMemory32Fixed = 0x86, kReadWrite = 1;
constexpr std::uint8_t kExtendedInterrupt = 0x89, kConsumerEdgeHighExclusive = 0x03;
constexpr std::uint8_t kEndTag = 0x79;

constexpr std::size_t kSegmentLength = 4;

void add_number(Bytes& bytes, std::uint64_t value, unsigned size) {
  for (unsigned i = 0; i < size; ++i) bytes.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
}

void add(Bytes& bytes, const Bytes& more) { bytes.insert(bytes.end(), more.begin(), more.end()); }

Bytes number(std::uint8_t prefix, std::uint64_t value, unsigned size) {
  Bytes bytes{prefix};
  add_number(bytes, value, size);
  return bytes;
}

/// How many bytes a package length takes that has to count itself too: 6 bits fit into one byte, 12 into two,
/// and so on.
unsigned length_bytes(std::size_t content) {
  if (content + 1 < 1 << 6) return 1;
  if (content + 2 < 1 << 12) return 2;
  return content + 3 < 1 << 20 ? 3 : 4;
}

Bytes package_length(std::size_t content) {
  const unsigned count = length_bytes(content);
  const std::size_t length = content + count;
  if (count == 1) return {static_cast<std::uint8_t>(length)};
  Bytes bytes{static_cast<std::uint8_t>((count - 1) << 6 | (length & 0xf))};
  add_number(bytes, length >> 4, count - 1);
  return bytes;
}

/// An operator whose operands are preceded by their length.
Bytes packaged(const Bytes& operation, const Bytes& content) {
  return join({operation, package_length(content.size()), content});
}

Bytes name_string(std::string_view path) {
  Bytes bytes;
  if (path.starts_with('\\')) {
    bytes.push_back('\\');
    path.remove_prefix(1);
  }
  check(!path.empty() && path.size() <= kSegmentLength, "an AML name is one segment");
  bytes.insert(bytes.end(), path.begin(), path.end());
  bytes.insert(bytes.end(), kSegmentLength - path.size(), '_');
  return bytes;
}

unsigned hex_digit(char digit) { return static_cast<unsigned>(digit <= '9' ? digit - '0' : digit - 'A' + 10); }

}  // namespace

Bytes join(std::initializer_list<Bytes> parts) {
  Bytes bytes;
  for (const Bytes& part : parts) add(bytes, part);
  return bytes;
}

Bytes integer(std::uint64_t value) {
  if (value == 0) return {kZero};
  if (value == 1) return {kOne};
  if (value <= 0xff) return number(kByte, value, 1);
  if (value <= 0xffff) return number(kWord, value, 2);
  return value <= 0xffffffff ? number(kDword, value, 4) : number(kQword, value, 8);
}

Bytes string(std::string_view text) {
  Bytes bytes{kString};
  bytes.insert(bytes.end(), text.begin(), text.end());
  bytes.push_back(0);
  return bytes;
}

Bytes eisa_id(std::string_view id) {
  check(id.size() == 7, "a Plug and Play id has 7 characters");
  std::uint32_t packed = 0;
  for (const char letter : id.substr(0, 3)) packed = packed << 5 | static_cast<std::uint32_t>(letter - '@');
  for (const char digit : id.substr(3)) packed = packed << 4 | hex_digit(digit);
  return number(kDword, __builtin_bswap32(packed), 4);
}

Bytes package(std::initializer_list<Bytes> elements) {
  return packaged({kPackage}, join({{static_cast<std::uint8_t>(elements.size())}, join(elements)}));
}

Bytes name(std::string_view path, const Bytes& value) { return join({{kName}, name_string(path), value}); }

Bytes method(std::string_view path, unsigned arguments, const Bytes& terms) {
  check(arguments <= 7, "an AML method has at most 7 arguments");
  return packaged({kMethod}, join({name_string(path), {static_cast<std::uint8_t>(arguments)}, terms}));
}

Bytes notify(std::string_view device, std::uint64_t value) {
  return join({{kNotify}, name_string(device), integer(value)});
}

Bytes scope(std::string_view path, const Bytes& terms) { return packaged({kScope}, join({name_string(path), terms})); }

Bytes device(std::string_view path, std::initializer_list<Bytes> terms) {
  return packaged({kExtended, kDevice}, join({name_string(path), join(terms)}));
}

Bytes resource_template(std::initializer_list<Bytes> descriptors) {
  const Bytes content = join({join(descriptors), {kEndTag, 0}});  // a checksum of 0 is right for any content
  return packaged({kBuffer}, join({integer(content.size()), content}));
}

Bytes io_ports(std::uint16_t first, std::uint8_t count) {
  Bytes bytes{kIoPorts, kDecode16Bits};
  add_number(bytes, first, 2);  // the lowest base and the highest
  add_number(bytes, first, 2);
  add(bytes, {1, count});
  return bytes;
}

Bytes isa_interrupt(unsigned line) {
  check(line < 16, "an ISA interrupt line is below 16");
  return number(kIsaInterrupt, 1U << line, 2);
}

Bytes memory_window(std::uint32_t start, std::uint32_t size) {
  Bytes bytes{kMemory32Fixed, 9, 0, kReadWrite};
  add_number(bytes, start, 4);
  add_number(bytes, size, 4);
  return bytes;
}

Bytes interrupt(std::uint32_t gsi) {
  Bytes bytes{kExtendedInterrupt, 6, 0, kConsumerEdgeHighExclusive, 1};
  add_number(bytes, gsi, 4);
  return bytes;
}

}  // namespace tintype::aml
