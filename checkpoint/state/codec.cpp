// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/state/codec.h"

#include <set>

#include "vmm/base/checksum.h"
#include "vmm/base/little_endian.h"

namespace tintype {
namespace {

constexpr std::string_view kMagic = "TINTSTAT";
constexpr std::uint32_t kFormat = 1;
constexpr std::size_t kHeaderBytes = 24, kTrailerBytes = 8;
constexpr std::size_t kFileBytesOffset = 16;

enum class ValueKind : std::uint8_t { kNumber = 0, kBytes = 1, kRecords = 2 };

// The fewest bytes that one can take: a count is believed only where that many can still follow.
constexpr std::size_t kSmallestRecord = 2 + 4 + 4, kSmallestField = 2 + 2 + 1 + 4, kSmallestState = 2 + kSmallestRecord;

class Encoder {
 public:
  explicit Encoder(std::vector<std::byte>& out) : out_(out) {}

  void put_name(std::string_view text) {
    if (text.size() > UINT16_MAX)
      throw StateError("a name in the saved state has {} bytes, more than 65535", text.size());
    append_number<std::uint16_t>(out_, static_cast<std::uint16_t>(text.size()));
    put_bytes(std::as_bytes(std::span(text)));
  }

  void put_record(const StateRecord& record, unsigned depth) {
    if (depth > kMaximumStateDepth) throw StateError("the saved state of {} is nested too deep", record.type);
    put_name(record.type);
    append_number(out_, record.version);
    put_count(record.fields.size());
    for (const StateField& field : record.fields) put_field(field, depth);
  }

 private:
  void put_bytes(std::span<const std::byte> bytes) {
    out_.insert(out_.end(), bytes.begin(), bytes.end());
    if (out_.size() > kMaximumStateBytes)
      throw StateError("the saved state is larger than {} bytes", kMaximumStateBytes);
  }

  void put_count(std::size_t count) {
    if (count > UINT32_MAX) throw StateError("a list in the saved state has {} entries, too many", count);
    append_number(out_, static_cast<std::uint32_t>(count));
  }

  void put_kind(ValueKind kind) { append_number(out_, static_cast<std::uint8_t>(kind)); }

  void put_field(const StateField& field, unsigned depth) {
    append_number(out_, field.number);
    put_name(field.name);
    if (const auto* number = std::get_if<std::uint64_t>(&field.value)) {
      put_kind(ValueKind::kNumber);
      append_number(out_, *number);
    } else if (const auto* bytes = std::get_if<StateBytes>(&field.value)) {
      put_kind(ValueKind::kBytes);
      put_count(bytes->size());
      put_bytes(std::as_bytes(std::span(*bytes)));
    } else {
      const auto& records = std::get<std::vector<StateRecord>>(field.value);
      put_kind(ValueKind::kRecords);
      put_count(records.size());
      for (const StateRecord& record : records) put_record(record, depth + 1);
    }
  }

  std::vector<std::byte>& out_;
};

/// Takes values off the front of bytes that nobody vouches for.
class Decoder {
 public:
  Decoder(std::span<const std::byte> rest, const std::string& what) : rest_(rest), what_(what) {}

  bool at_end() const noexcept { return rest_.empty(); }

  std::string take_name() {
    const auto bytes = take(take_number<std::uint16_t>());
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }

  std::size_t take_count(std::size_t smallest_entry) {
    const auto count = take_number<std::uint32_t>();
    if (count > rest_.size() / smallest_entry) fail("a list is longer than the file");
    return count;
  }

  StateRecord take_record(unsigned depth) {
    if (depth > kMaximumStateDepth) fail("records are nested too deep");
    StateRecord record;
    record.type = take_name();
    if (record.type.empty()) fail("a record has no type");
    record.version = take_number<std::uint32_t>();
    const std::size_t count = take_count(kSmallestField);
    for (std::size_t i = 0; i < count; ++i) record.fields.push_back(take_field(depth));
    return record;
  }

  [[noreturn]] void fail(std::string_view why) const {
    throw StateError("{} is not a valid machine state: {}", what_, why);
  }

 private:
  std::span<const std::byte> take(std::size_t count) {
    if (count > rest_.size()) fail("a value reaches past the end");
    const auto taken = rest_.first(count);
    rest_ = rest_.subspan(count);
    return taken;
  }

  template <std::unsigned_integral T>
  T take_number() {
    return load_number<T>(take(sizeof(T)), 0);
  }

  StateField take_field(unsigned depth) {
    StateField field;
    field.number = take_number<std::uint16_t>();
    field.name = take_name();
    field.value = take_value(depth);
    return field;
  }

  StateValue take_value(unsigned depth) {
    switch (static_cast<ValueKind>(take_number<std::uint8_t>())) {
      case ValueKind::kNumber:
        return take_number<std::uint64_t>();
      case ValueKind::kBytes: {
        const auto bytes = take(take_number<std::uint32_t>());
        const auto* first = reinterpret_cast<const std::uint8_t*>(bytes.data());
        return StateBytes(first, first + bytes.size());
      }
      case ValueKind::kRecords:
        return take_records(depth + 1);
    }
    fail("a field is of no known kind");
  }

  std::vector<StateRecord> take_records(unsigned depth) {
    std::vector<StateRecord> records;  // grows with what is really there: a count is cheap to write
    for (std::size_t left = take_count(kSmallestRecord); left > 0; --left) records.push_back(take_record(depth));
    return records;
  }

  std::span<const std::byte> rest_;
  const std::string& what_;
};

void refuse_doubled_names(std::span<const NamedState> states, const std::string& what) {
  std::set<std::string_view> names;
  for (const NamedState& state : states) {
    if (!names.insert(state.name).second) throw StateError("{} has two states named {}", what, state.name);
  }
}

/// The bytes between header and trailer, when all that can be said of the file as a whole holds.
std::span<const std::byte> check_frame(std::span<const std::byte> bytes, const std::string& what) {
  if (bytes.size() < kHeaderBytes + kTrailerBytes || std::memcmp(bytes.data(), kMagic.data(), kMagic.size()) != 0) {
    throw StateError("{} is not a machine state", what);
  }
  if (bytes.size() > kMaximumStateBytes) throw StateError("{} is larger than {} bytes", what, kMaximumStateBytes);
  const auto body = bytes.first(bytes.size() - kTrailerBytes);
  if (checksum_of(body) != load_number<std::uint64_t>(bytes, body.size())) {
    throw StateError("{} is damaged: its checksum does not match", what);
  }
  const auto format = load_number<std::uint32_t>(bytes, kMagic.size());
  if (format != kFormat) throw StateError("{} has format version {}; this version reads {}", what, format, kFormat);
  if (load_number<std::uint64_t>(bytes, kFileBytesOffset) != bytes.size())
    throw StateError("{} has the wrong length", what);
  return body.subspan(kHeaderBytes);
}

}  // namespace

std::vector<std::byte> encode_states(std::span<const NamedState> states) {
  refuse_doubled_names(states, "the saved state");
  std::vector<std::byte> out;
  const auto magic = std::as_bytes(std::span(kMagic));
  out.insert(out.end(), magic.begin(), magic.end());
  append_number(out, kFormat);
  append_number(out, static_cast<std::uint32_t>(states.size()));
  append_number<std::uint64_t>(out, 0);  // the length of the file, once it is known
  Encoder encoder(out);
  for (const NamedState& state : states) {
    encoder.put_name(state.name);
    encoder.put_record(state.record, 1);
  }
  store_number<std::uint64_t>(std::span(out), kFileBytesOffset, out.size() + kTrailerBytes);
  append_number(out, checksum_of(out));
  if (out.size() > kMaximumStateBytes) throw StateError("the saved state is larger than {} bytes", kMaximumStateBytes);
  return out;
}

std::vector<NamedState> decode_states(std::span<const std::byte> bytes, const std::string& what) {
  const auto body = check_frame(bytes, what);
  Decoder decoder(body, what);
  const auto count = load_number<std::uint32_t>(bytes, kMagic.size() + 4);
  if (count > body.size() / kSmallestState) decoder.fail("a list is longer than the file");
  std::vector<NamedState> states;
  for (std::size_t i = 0; i < count; ++i) {
    NamedState& state = states.emplace_back();
    state.name = decoder.take_name();
    state.record = decoder.take_record(1);
  }
  if (!decoder.at_end()) decoder.fail("something follows the last record");
  refuse_doubled_names(states, what);
  return states;
}

}  // namespace tintype
