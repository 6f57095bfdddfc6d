// SPDX-License-Identifier: Apache-2.0
#pragma once

// Saved state, as named and numbered fields. A thing with state has a frozen struct for each shipped version of its
// saved form (`UartStateV1`), apart from what it runs with, and that struct has one list of fields, which drives the
// encoder, the decoder, the dump and the contract tests:
//
//   struct UartStateV1 {
//     static constexpr std::string_view kType = "uart-16550";
//     static constexpr std::uint32_t kVersion = 1;
//     std::uint8_t line_control = 0;
//     std::vector<std::uint8_t> received;
//     bool operator==(const UartStateV1&) const = default;
//     static void fields(auto& self, auto&& field) {
//       field(1, "line_control", self.line_control);
//       field(2, "received", self.received);
//     }
//   };
//
// A member that is missing from the list does not compile away silently: to_record() compares the number of fields
// visited with the number of members. Members may be bool, integers, enums, std::string, std::array and std::vector of
// integers, other such structs, and std::vector of such structs. A shipped struct never changes; a new need is a V2.

#include <array>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "vmm/base/error.h"

namespace tintype {

struct StateRecord;
using StateBytes = std::vector<std::uint8_t>;

/// A number (signed ones in two's complement), bytes (text, arrays of integers in little-endian order), or records.
using StateValue = std::variant<std::uint64_t, StateBytes, std::vector<StateRecord>>;

struct StateField {
  std::uint16_t number = 0;
  std::string name;
  StateValue value;
  bool operator==(const StateField&) const;
};

struct StateRecord {
  std::string type;  ///< of the thing, for example "uart-16550"; the version belongs to it
  std::uint32_t version = 0;
  std::vector<StateField> fields;
  bool operator==(const StateRecord&) const;
};

/// The saved state does not fit: the text names the record and the field. Thrown before anything has changed.
class StateError : public Error {
 public:
  using Error::Error;
};

/// A thing with state. A checkpoint knows no more of a device, a vCPU or a clock than this.
class Stateful {
 public:
  virtual ~Stateful() = default;
  /// Unique within a machine, stable over versions: "vcpu0", "uart0", "disk0".
  virtual std::string state_name() const = 0;
  /// Called while the machine is paused and the thing frozen; touches no disk and waits for nothing.
  virtual StateRecord save_state() const = 0;
  /// The same in two halves: what must be read while the machine is paused, and what is left for when it runs again.
  /// The second is called once, from any thread, and does not touch the thing.
  using Unsaved = std::function<StateRecord()>;
  virtual Unsaved read_state() const {
    return [record = save_state()] { return record; };
  }
  /// Throws StateError where restore_state() would not take the record. Changes nothing.
  virtual void check_state(const StateRecord& record) const = 0;
  /// Takes on the saved state. The machine does not run, guest memory is already in place, and check_state() has
  /// passed.
  virtual void restore_state(const StateRecord& record) = 0;
};

namespace state_detail {

struct AnyMember {
  template <typename T>
  constexpr operator T() const noexcept;
};

template <typename T, typename... Members>
constexpr std::size_t member_count() {
  if constexpr (requires { T{Members{}..., AnyMember{}}; }) {
    return member_count<T, Members..., AnyMember>();
  } else {
    return sizeof...(Members);
  }
}

template <typename T>
concept StateStruct = requires {
  { T::kType } -> std::convertible_to<std::string_view>;
};

template <typename T>
concept StateNumber = std::integral<T> || std::is_enum_v<T>;

template <typename T>
struct IsNumberSequence : std::false_type {};
template <StateNumber T>
struct IsNumberSequence<std::vector<T>> : std::true_type {};
template <StateNumber T, std::size_t N>
struct IsNumberSequence<std::array<T, N>> : std::true_type {};

const StateField& find_field(const StateRecord& record, std::uint16_t number, std::string_view name);
std::uint64_t number_of(const StateRecord& record, const StateField& field);
const StateBytes& bytes_of(const StateRecord& record, const StateField& field);
const std::vector<StateRecord>& records_of(const StateRecord& record, const StateField& field);
void expect_type(const StateRecord& record, std::string_view type, std::uint32_t version, std::size_t field_count);
[[noreturn]] void throw_bad_field(const StateRecord& record, const StateField& field, std::string_view why);

}  // namespace state_detail

template <typename T>
StateRecord to_record(const T& state);
template <typename T>
T from_record(const StateRecord& record);

namespace state_detail {

template <typename T>
StateValue encode(const T& value) {
  if constexpr (StateNumber<T>) {
    return static_cast<std::uint64_t>(value);
  } else if constexpr (std::same_as<T, std::string>) {
    return StateBytes(value.begin(), value.end());
  } else if constexpr (IsNumberSequence<T>::value) {
    StateBytes bytes(value.size() * sizeof(typename T::value_type));
    if (!bytes.empty()) std::memcpy(bytes.data(), value.data(), bytes.size());
    return bytes;
  } else if constexpr (StateStruct<T>) {
    return std::vector<StateRecord>{to_record(value)};
  } else {
    std::vector<StateRecord> records;
    for (const auto& element : value) records.push_back(to_record(element));
    return records;
  }
}

template <StateNumber T>
void decode_number(const StateRecord& record, const StateField& field, T& value) {
  const std::uint64_t number = number_of(record, field);
  value = static_cast<T>(number);
  if (static_cast<std::uint64_t>(value) != number) throw_bad_field(record, field, "is out of range");
}

template <typename T>
void decode_sequence(const StateRecord& record, const StateField& field, T& value) {
  using Element = typename T::value_type;
  const StateBytes& bytes = bytes_of(record, field);
  if (bytes.size() % sizeof(Element) != 0) throw_bad_field(record, field, "is not a whole number of elements");
  if constexpr (requires { value.resize(1); }) value.resize(bytes.size() / sizeof(Element));
  if (bytes.size() != value.size() * sizeof(Element)) throw_bad_field(record, field, "has the wrong length");
  if (!bytes.empty()) std::memcpy(value.data(), bytes.data(), bytes.size());
}

template <typename T>
void decode(const StateRecord& record, const StateField& field, T& value) {
  if constexpr (StateNumber<T>) {
    decode_number(record, field, value);
  } else if constexpr (std::same_as<T, std::string>) {
    const StateBytes& bytes = bytes_of(record, field);
    value.assign(bytes.begin(), bytes.end());
  } else if constexpr (IsNumberSequence<T>::value) {
    decode_sequence(record, field, value);
  } else if constexpr (StateStruct<T>) {
    const auto& records = records_of(record, field);
    if (records.size() != 1) throw_bad_field(record, field, "must hold exactly one record");
    value = from_record<T>(records.front());
  } else {
    value.clear();
    for (const StateRecord& element : records_of(record, field)) {
      value.push_back(from_record<typename T::value_type>(element));
    }
  }
}

}  // namespace state_detail

/// The state as a record. Aborts where the field list leaves a member out (a bug of ours, found by every contract
/// test).
template <typename T>
StateRecord to_record(const T& state) {
  StateRecord record{std::string(T::kType), T::kVersion, {}};
  T::fields(state, [&](std::uint16_t number, std::string_view name, const auto& value) {
    record.fields.push_back({number, std::string(name), state_detail::encode(value)});
  });
  check(record.fields.size() == state_detail::member_count<T>(), "every member of a saved state is in its field list");
  return record;
}

/// The record as a state. Throws StateError on another type or version, a missing, unknown or doubled field, a value of
/// the wrong kind or out of range. What the values mean is for the owner's check_state() to judge.
template <typename T>
T from_record(const StateRecord& record) {
  T state{};
  state_detail::expect_type(record, T::kType, T::kVersion, state_detail::member_count<T>());
  T::fields(state, [&](std::uint16_t number, std::string_view name, auto& value) {
    state_detail::decode(record, state_detail::find_field(record, number, name), value);
  });
  return state;
}

}  // namespace tintype
