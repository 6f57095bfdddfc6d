// SPDX-License-Identifier: Apache-2.0
#include "vmm/control/end_record.h"

#include <fcntl.h>

#include <nlohmann/json.hpp>

#include "checkpoint/format/json_fields.h"
#include "vmm/base/io.h"

namespace tintype {

using json_fields::Same;

void fields(auto& archive, Same<EndRecord> auto& record) {
  archive("name", record.name);
  archive("state", record.state);
  archive("exit_code", record.exit_code);
  archive("reason", record.reason);
  archive("ended", record.ended);
  archive("log", record.log);
}

namespace {

namespace fs = std::filesystem;

fs::path record_path(const fs::path& directory, const std::string& name) { return directory / (name + ".end"); }
fs::path console_path(const fs::path& directory, const std::string& name) { return directory / (name + ".console"); }

void write_file(const fs::path& path, const std::string& text) {
  const UniqueFd file = open_file(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0600);
  write_exactly(file.get(), std::as_bytes(std::span(text)), 0, path.string());
}

}  // namespace

void write_end_record(const fs::path& directory, const EndRecord& record) {
  write_file(record_path(directory, record.name), end_record_to_json(record).dump() + "\n");
}

void write_kept_console(const fs::path& directory, const std::string& name, const std::string& text) {
  if (!text.empty()) write_file(console_path(directory, name), text);
}

std::string read_kept_console(const fs::path& directory, const std::string& name) {
  try {
    return read_text_file(console_path(directory, name));
  } catch (const std::exception&) {
    return "";
  }
}

std::optional<EndRecord> read_end_record(const fs::path& directory, const std::string& name) {
  try {
    const auto json = json_fields::Json::parse(read_text_file(record_path(directory, name)));
    EndRecord record;
    json_fields::Reader reader(json, "the record");
    fields(reader, record);
    return record;
  } catch (const std::exception&) {
    return std::nullopt;
  }
}

void remove_end_record(const fs::path& directory, const std::string& name) noexcept {
  std::error_code missing;
  fs::remove(record_path(directory, name), missing);
  fs::remove(console_path(directory, name), missing);
}

nlohmann::json end_record_to_json(const EndRecord& record) {
  json_fields::Writer writer;
  fields(writer, record);
  return writer.take();
}

}  // namespace tintype
