// SPDX-License-Identifier: Apache-2.0
#include "vmm/control/end_record.h"

#include <unistd.h>

#include <csignal>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "checkpoint/format/json_fields.h"
#include "vmm/base/io.h"
#include "vmm/base/unnamed_file.h"

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

/// All of it, or none: the directory may be full.
void write_file(const fs::path& path, const std::string& text) {
  UnnamedFile file(path.parent_path());
  write_exactly(file.fd(), std::as_bytes(std::span(text)), 0, path.string());
  file.replace(path);
}

}  // namespace

EndRecord record_of_killed(const std::string& name) {
  return {name, "killed", 128 + SIGKILL, fmt::format("its process, {}, was killed or crashed", ::getpid()), "", {}};
}

void write_end_record(const fs::path& directory, const EndRecord& record) {
  const fs::path path = record_path(directory, record.name);
  const std::string text = end_record_to_json(record).dump() + "\n";
  try {
    write_file(path, text);
  } catch (const std::system_error&) {
    remove_end_record(directory, record.name);
    write_file(path, text);
  }
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
