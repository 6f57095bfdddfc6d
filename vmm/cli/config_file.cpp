// SPDX-License-Identifier: Apache-2.0
#include <array>

#include <toml++/toml.h>

#include "checkpoint/s3/location.h"
#include "vmm/base/error.h"
#include "vmm/base/io.h"
#include "vmm/cli/directory_disk.h"
#include "vmm/cli/run_options.h"
#include "vmm/cli/values.h"

namespace tintype {

namespace {

/// One key of the file and its value, with what is needed to complain about them.
class Entry {
 public:
  Entry(std::string_view key, const toml::node& value, const std::string& file)
      : key_(key), value_(value), file_(file) {}

  const std::string& key() const noexcept { return key_; }
  const toml::node& value() const noexcept { return value_; }
  const std::string& file() const noexcept { return file_; }

  [[noreturn]] void refuse(const std::string& why) const {
    throw UsageError("{} line {}: {}", file_, value_.source().begin.line, why);
  }

  std::string text() const {
    const auto text = value_.value_exact<std::string>();
    if (!text) refuse(fmt::format("{} must be a text in quotes", key_));
    return *text;
  }
  bool flag() const {
    const auto flag = value_.value_exact<bool>();
    if (!flag) refuse(fmt::format("{} must be true or false", key_));
    return *flag;
  }
  std::uint64_t number() const {
    const auto number = value_.value_exact<std::int64_t>();
    if (!number || *number < 0) refuse(fmt::format("{} must be a whole number, 0 or more", key_));
    return static_cast<std::uint64_t>(*number);
  }
  /// A text or a number, as on the command line.
  std::string word() const { return value_.is_integer() ? std::to_string(number()) : text(); }
  std::uint64_t size() const {
    return value_.is_integer() ? number() : parsed([this] { return parse_size(text(), key_); });
  }
  /// A relative path starts at the directory of the file.
  std::string path() const { return path_of(text()); }
  std::string path_of(const std::string& text) const {
    return text.empty() ? text : (std::filesystem::path(file_).parent_path() / text).string();
  }
  /// A repository, or what has another scheme.
  std::string place() const {
    if (S3Location::is_meant_by(text())) return parsed([this] { return repository_name(text(), key_).string(); });
    return text().find("://") != std::string::npos ? text() : absolute_path(path(), key_).string();
  }
  std::string serial() const {
    const SerialConfig serial = parsed([this] { return parse_serial(text()); });
    return serial.path.empty() ? text() : text().substr(0, 5) + path_of(serial.path.string());
  }

  /// What `parse` makes of the value; its complaint gets the line.
  template <typename Parse>
  auto parsed(Parse parse) const -> decltype(parse()) {
    try {
      return parse();
    } catch (const UsageError& failure) {
      refuse(failure.what());
    }
  }

  /// `take` for each element of an array, or for the value alone.
  template <typename Take>
  void each(Take take) const {
    const toml::array* array = value_.as_array();
    if (array == nullptr) return take(*this);
    for (const toml::node& element : *array) take(Entry(key_, element, file_));
  }

 private:
  std::string key_;
  const toml::node& value_;
  const std::string& file_;
};

void apply_disk_key(const Entry& entry, DiskConfig& disk) {
  if (entry.key() == "file") {
    disk.image = entry.path();
  } else if (entry.key() == "dir") {
    disk.image = "dir:" + entry.path();
    disk.mode = DiskMode::kNonpersistent;
  } else if (entry.key() == "readonly") {
    disk.read_only = entry.flag();
  } else if (!entry.parsed([&] { return apply_disk_setting(entry.key(), entry.word(), disk); })) {
    entry.refuse(fmt::format("a disk has no key \"{}\": there are file, dir, {}", entry.key(), kDiskSettings));
  }
}

/// A text as after --disk, or a table.
DiskConfig disk_of(const Entry& entry) {
  DiskConfig disk;
  if (const toml::table* table = entry.value().as_table()) {
    for (const auto& [key, value] : *table) apply_disk_key(Entry(key.str(), value, entry.file()), disk);
  } else {
    disk = entry.parsed([&] { return parse_disk(entry.text()); });
    const auto directory = directory_of(disk);
    disk.image = directory ? "dir:" + entry.path_of(directory->string()) : entry.path_of(disk.image.string());
  }
  if (disk.image.empty()) entry.refuse("a disk needs a file");
  return disk;
}

void apply_backup_key(const Entry& entry, BackupPlan& plan) {
  const auto time = [&] { return entry.parsed([&] { return parse_time(entry.text(), entry.key()); }); };
  if (entry.key() == "to") {
    plan.to = entry.place();
  } else if (entry.key() == "every") {
    plan.every_ms = time();
  } else if (entry.key() == "keep") {
    plan.keep = entry.parsed([&] { return parse_retention(entry.text(), entry.key()); });
  } else if (entry.key() == "verify") {
    plan.verify_ms = time();
  } else if (entry.key() == "drill") {
    plan.drill_ms = time();
  } else if (entry.key() == "key") {
    plan.key = entry.path();
  } else if (entry.key() == "witness") {
    plan.witness = entry.text();
  } else {
    entry.refuse(fmt::format("a backup has no key \"{}\": there are to, every, keep, verify, drill, key and witness",
                             entry.key()));
  }
}

BackupPlan backup_of(const Entry& entry) {
  const toml::table* table = entry.value().as_table();
  if (table == nullptr) entry.refuse("backup is a table: [backup], or [[backup]] for each of several");
  BackupPlan plan;
  for (const auto& [key, value] : *table) apply_backup_key(Entry(key.str(), value, entry.file()), plan);
  entry.parsed([&] {
    check_plan(plan);
    return true;
  });
  return plan;
}

using Apply = void (*)(const Entry& entry, RunOptions& options);
struct Key {
  std::string_view name;
  Apply apply;
};

/// The options of `run`, but for --config itself and --json.
constexpr std::array kKeys = {
    Key{"kernel", [](const Entry& entry, RunOptions& options) { options.kernel = entry.path(); }},
    Key{"initrd", [](const Entry& entry, RunOptions& options) { options.initrd = entry.path(); }},
    Key{"append", [](const Entry& entry, RunOptions& options) { options.append = entry.text(); }},
    Key{"memory", [](const Entry& entry, RunOptions& options) { options.memory = entry.size(); }},
    Key{"cpus", [](const Entry& entry, RunOptions& options) { options.cpus = entry.number(); }},
    Key{"name", [](const Entry& entry, RunOptions& options) { options.name = entry.text(); }},
    Key{"disk",
        [](const Entry& entry, RunOptions& options) {
          entry.each([&](const Entry& one) { options.disks.push_back(disk_of(one)); });
        }},
    Key{"backup",
        [](const Entry& entry, RunOptions& options) {
          entry.each([&](const Entry& one) { options.backups.push_back(backup_of(one)); });
        }},
    Key{"disk-dir", [](const Entry& entry, RunOptions& options) { options.disk_directory = entry.path(); }},
    Key{"serial", [](const Entry& entry, RunOptions& options) { options.serial = entry.serial(); }},
    Key{"detach", [](const Entry& entry, RunOptions& options) { options.detach = entry.flag(); }},
    Key{"fail-on-reset", [](const Entry& entry, RunOptions& options) { options.fail_on_reset = entry.flag(); }},
    Key{"on-panic", [](const Entry& entry, RunOptions& options) { options.on_panic = entry.text(); }},
    Key{"gdb",
        [](const Entry& entry, RunOptions& options) {
          entry.parsed([&] { return parse_gdb(entry.text()); });
          options.gdb = entry.text();
        }},
    Key{"trace",
        [](const Entry& entry, RunOptions& options) {
          entry.each([&](const Entry& one) {
            one.parsed([&] { return parse_trace({one.text(), "exits"}); });
            options.trace.push_back(one.text());
          });
        }},
};

void apply(const Entry& entry, RunOptions& options) {
  for (const Key& key : kKeys) {
    if (key.name == entry.key()) return key.apply(entry, options);
  }
  entry.refuse(fmt::format("there is no key \"{}\": the keys are the options of `tintype run`", entry.key()));
}

/// It would keep us waiting. A pipe that a shell made (/dev/fd/63) has somebody at its other end, and no other name.
bool is_named_fifo(const std::string& path) {
  std::error_code none;
  return std::filesystem::is_fifo(path, none) && !std::filesystem::canonical(path, none).empty();
}

}  // namespace

RunOptions parse_config(std::string_view text, const std::string& path) {
  RunOptions options;
  try {
    const toml::table table = toml::parse(text, path);
    for (const auto& [key, value] : table) apply(Entry(key.str(), value, path), options);
  } catch (const toml::parse_error& failure) {
    throw UsageError("{} line {}: {}", path, failure.source().begin.line, failure.description());
  }
  return options;
}

RunOptions read_config_file(const std::string& path) {
  if (is_named_fifo(path)) throw Error("the configuration {} is no regular file: copy it into one", path);
  try {
    return parse_config(read_text_file(path), path);
  } catch (const std::system_error& failure) {
    throw Error("the configuration {} cannot be read: {}", path, errno_text(failure.code().value()));
  }
}

}  // namespace tintype
