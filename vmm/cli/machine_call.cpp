// SPDX-License-Identifier: Apache-2.0
#include "vmm/cli/machine_call.h"

#include <nlohmann/json.hpp>

#include "vmm/control/runtime_directory.h"

namespace tintype {

namespace {

std::string log_note(const EndRecord& record) {
  std::error_code missing;
  const bool has_words = record.log && std::filesystem::file_size(*record.log, missing) > 0 && !missing;
  return has_words ? fmt::format(", and its log is {}", *record.log) : "";
}

std::string how_it_ended(const EndRecord& record) {
  if (was_killed(record)) return record.reason;
  return fmt::format("it ended at {} ({}) with exit status {}", record.ended, record.reason, record.exit_code);
}

std::string looked_in() {
  std::string list;
  for (const auto& directory : lookup_directories()) list += (list.empty() ? "" : ", ") + directory.string();
  return list;
}

}  // namespace

std::optional<EndRecord> find_end_record(const std::string& name) {
  if (directory_of_machine(name)) return std::nullopt;
  for (const auto& directory : lookup_directories()) {
    if (auto record = read_end_record(directory, name)) return record;
  }
  return std::nullopt;
}

std::optional<EndRecord> find_orderly_end(const std::string& name) {
  auto record = find_end_record(name);
  return record && !was_killed(*record) ? record : std::nullopt;
}

std::string find_kept_console(const std::string& name) {
  for (const auto& directory : lookup_directories()) {
    if (read_end_record(directory, name)) return read_kept_console(directory, name);
  }
  return "";
}

MachineEnded::MachineEnded(const EndRecord& record)
    : Error("no machine named {} is running: {}{}", record.name, how_it_ended(record), log_note(record)),
      record_(record) {}

nlohmann::json MachineEnded::result() const {
  nlohmann::json object = end_record_to_json(record_);
  object["error"] = what();
  return object;
}

ControlClient connect_to_machine(const std::string& name) {
  check_machine_name(name);
  if (const auto directory = directory_of_machine(name)) return ControlClient(*directory, name);
  if (const auto record = find_end_record(name)) throw MachineEnded(*record);
  throw Error("no machine named {} is running (looked for in {}): `tintype list` shows those that are", name,
              looked_in());
}

std::optional<Error> for_each_machine(
    const std::function<void(const std::filesystem::path& directory, const std::string& name)>& meet) {
  std::optional<Error> unreadable;
  for (const auto& directory : lookup_directories()) {
    try {
      for (const std::string& name : living_machines(directory)) meet(directory, name);
    } catch (const Error& failure) {
      if (directory == runtime_directory()) unreadable = failure;
    }
  }
  return unreadable;
}

}  // namespace tintype
