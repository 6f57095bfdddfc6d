// SPDX-License-Identifier: Apache-2.0
#include "vmm/base/state.h"

namespace tintype {

bool StateField::operator==(const StateField& other) const {
  return number == other.number && name == other.name && value == other.value;
}

bool StateRecord::operator==(const StateRecord& other) const {
  return type == other.type && version == other.version && fields == other.fields;
}

namespace state_detail {

void throw_bad_field(const StateRecord& record, const StateField& field, std::string_view why) {
  throw StateError("the saved state {} version {} is damaged: field {} ({}) {}", record.type, record.version,
                   field.number, field.name, why);
}

void expect_type(const StateRecord& record, std::string_view type, std::uint32_t version, std::size_t field_count) {
  if (record.type != type || record.version != version) {
    throw StateError("the saved state is {} version {}, but this program expects {} version {}", record.type,
                     record.version, type, version);
  }
  if (record.fields.size() != field_count) {
    throw StateError("the saved state {} version {} is damaged: it has {} fields instead of {}", record.type,
                     record.version, record.fields.size(), field_count);
  }
}

// With the number of fields checked, finding each expected one means that there is no unknown and no doubled one.
const StateField& find_field(const StateRecord& record, std::uint16_t number, std::string_view name) {
  for (const StateField& field : record.fields) {
    if (field.number != number) continue;
    if (field.name != name) throw_bad_field(record, field, fmt::format("should be named {}", name));
    return field;
  }
  throw StateError("the saved state {} version {} is damaged: field {} ({}) is missing", record.type, record.version,
                   number, name);
}

std::uint64_t number_of(const StateRecord& record, const StateField& field) {
  const auto* number = std::get_if<std::uint64_t>(&field.value);
  if (number == nullptr) throw_bad_field(record, field, "is not a number");
  return *number;
}

const StateBytes& bytes_of(const StateRecord& record, const StateField& field) {
  const auto* bytes = std::get_if<StateBytes>(&field.value);
  if (bytes == nullptr) throw_bad_field(record, field, "is not a sequence of bytes");
  return *bytes;
}

const std::vector<StateRecord>& records_of(const StateRecord& record, const StateField& field) {
  const auto* records = std::get_if<std::vector<StateRecord>>(&field.value);
  if (records == nullptr) throw_bad_field(record, field, "is not a list of records");
  return *records;
}

}  // namespace state_detail
}  // namespace tintype
