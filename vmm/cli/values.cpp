// SPDX-License-Identifier: Apache-2.0
#include "vmm/cli/values.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <set>
#include <utility>

#include "checkpoint/s3/location.h"
#include "checkpoint/store/checkpoint_store.h"
#include "vmm/base/error.h"
#include "vmm/base/overflow.h"
#include "vmm/control/methods.h"
#include "vmm/memory/guest_memory.h"

namespace tintype {

namespace {

constexpr std::string_view kUnits = "KMGT";

/// Splits at commas; two commas are one that belongs to the word.
std::vector<std::string> split_at_commas(std::string_view text) {
  std::vector<std::string> words(1);
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool doubled = text[i] == ',' && i + 1 < text.size() && text[i + 1] == ',';
    if (text[i] == ',' && !doubled) {
      words.emplace_back();
      continue;
    }
    words.back() += text[i];
    if (doubled) ++i;
  }
  return words;
}

void apply_disk_word(const std::string& word, DiskConfig& disk) {
  const auto equals = word.find('=');
  if (word == "readonly") {
    disk.read_only = true;
  } else if (equals == word.npos || !apply_disk_setting(word.substr(0, equals), word.substr(equals + 1), disk)) {
    throw UsageError(
        "--disk does not know \"{}\": after the file may come {}, and a comma in the file's name is written twice",
        word, kDiskSettings);
  }
}

std::uint64_t checked_limit(std::uint64_t limit, std::string_view what) {
  if (limit == 0) throw UsageError("{} of a disk cannot be 0: leave it out for no limit", what);
  return limit;
}

bool is_printable(char c) { return c > ' ' && c <= '~'; }

}  // namespace

std::uint64_t parse_number(std::string_view text, std::string_view option) {
  std::uint64_t number = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failure == std::errc::result_out_of_range) throw UsageError("{} cannot be {}: that is too large", option, text);
  if (failure != std::errc() || end != text.data() + text.size()) {
    throw UsageError("{} cannot be \"{}\": give a whole number", option, text);
  }
  return number;
}

std::uint64_t parse_size(std::string_view text, std::string_view option) {
  std::uint64_t number = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
  const std::string_view unit = text.substr(static_cast<std::size_t>(end - text.data()));
  const auto power = unit.size() == 1 ? kUnits.find(static_cast<char>(unit[0] & ~0x20)) : std::string_view::npos;
  const bool known = unit.empty() || power != std::string_view::npos;
  const auto bytes = checked_multiply<std::uint64_t>(number, unit.empty() || !known ? 1 : 1ULL << (10 * (power + 1)));
  if (failure != std::errc() || !known || !bytes) {
    throw UsageError("{} cannot be \"{}\": give a size such as 512M or 1G, or a number of bytes", option, text);
  }
  return *bytes;
}

std::uint64_t parse_time(std::string_view text, std::string_view option) {
  constexpr std::pair<std::string_view, std::uint64_t> kTimes[] = {
      {"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}};
  constexpr std::pair<std::string_view, std::uint64_t> kWords[] = {
      {"hourly", 3'600'000}, {"daily", 86'400'000}, {"weekly", 604'800'000}};
  for (const auto& [word, ms] : kWords) {
    if (text == word) return ms;
  }
  std::uint64_t number = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
  const std::string_view unit = text.substr(static_cast<std::size_t>(end - text.data()));
  for (const auto& [name, ms] : kTimes) {
    const auto time = checked_multiply<std::uint64_t>(number, ms);
    if (failure != std::errc() || unit != name) continue;
    if (time && *time <= kLongestTimeMs) return *time;
    throw UsageError("{} cannot be {}: that is more than ten years", option, text);
  }
  throw UsageError("{} cannot be \"{}\": give a time such as 100ms, 10s, 5m or 1h", option, text);
}

// "a/.." is not taken away: where a is a link, that would be another directory.
std::filesystem::path absolute_path(const std::filesystem::path& path, std::string_view option) {
  if (path.empty()) throw UsageError("{} needs the name of a file or directory, and cannot be empty", option);
  std::error_code failure;
  const std::filesystem::path absolute = std::filesystem::absolute(path, failure);
  if (failure) throw Error("{} cannot be \"{}\": this directory is gone, give an absolute path", option, path.string());
  const bool goes_up = std::find(absolute.begin(), absolute.end(), "..") != absolute.end();
  return goes_up ? absolute : absolute.lexically_normal();
}

std::filesystem::path repository_name(const std::string& text, std::string_view option) {
  if (S3Location::is_meant_by(text)) return S3Location::parse(text).completed().text();
  return absolute_path(text, option);
}

std::uint64_t checked_memory_size(std::uint64_t bytes) {
  if (bytes < kMinimumMemory || bytes > kMaximumMemory || bytes % kPageSize != 0) {
    throw UsageError("--memory cannot be {} bytes: give a multiple of 4K from 1M to 1024G", bytes);
  }
  return bytes;
}

unsigned checked_cpu_count(std::uint64_t count) {
  if (count < 1 || count > 64) throw UsageError("--cpus cannot be {}: give a number from 1 to 64", count);
  return static_cast<unsigned>(count);
}

DiskConfig parse_disk(std::string_view text) {
  const auto words = split_at_commas(text);
  DiskConfig disk;
  disk.image = words.front();
  if (disk.image.empty() || disk.image == "dir:")
    throw UsageError("--disk needs the name of an image file first, or dir: and a directory's");
  if (disk.image.string().starts_with("dir:")) disk.mode = DiskMode::kNonpersistent;
  std::set<std::string> seen;
  for (auto word = words.begin() + 1; word != words.end(); ++word) {
    const std::string key = word->substr(0, word->find('='));
    if (!seen.insert(key).second) throw UsageError("--disk: {} is given twice", key);
    apply_disk_word(*word, disk);
  }
  return disk;
}

bool apply_disk_setting(std::string_view key, std::string_view value, DiskConfig& disk) {
  DiskBehaviour& behaviour = disk.behaviour;
  if (key == "mode") {
    disk.mode = chosen_value<DiskMode>(value, "the disk mode");
  } else if (key == "serial") {
    disk.serial = checked_disk_serial(value);
  } else if (key == "cache") {
    behaviour.cache = chosen_value<DiskCache>(value, "the cache of a disk");
  } else if (key == "on-error") {
    behaviour.on_error = chosen_value<OnDiskError>(value, "what is done on a disk's error");
  } else if (key == "block-size") {
    if (value != "512" && value != "4096") throw UsageError("block-size cannot be {}: give 512 or 4096", value);
    behaviour.block_size = value == "512" ? 512 : 4096;
  } else if (key == "iops") {
    behaviour.iops = checked_limit(parse_number(value, "iops"), "iops");
  } else if (key == "bps") {
    behaviour.bytes_per_second = checked_limit(parse_size(value, "bps"), "bps");
  } else {
    return false;
  }
  return true;
}

std::string checked_disk_serial(std::string_view text) {
  if (text.empty() || text.size() > 20 || !std::all_of(text.begin(), text.end(), is_printable)) {
    throw UsageError("the serial of a --disk cannot be \"{}\": give 1 to 20 printable ASCII characters without spaces",
                     text);
  }
  return std::string(text);
}

SerialConfig parse_serial(std::string_view text) {
  const auto colon = text.find(':');
  const auto kind = value_of<SerialKind>(text.substr(0, colon));
  const std::string_view path = colon == text.npos ? "" : text.substr(colon + 1);
  const bool has_path = kind == SerialKind::kFile || kind == SerialKind::kUnix;
  if (kind && has_path == (colon != text.npos) && has_path == !path.empty()) return {*kind, path};
  throw UsageError("--serial cannot be \"{}\": choose one of stdio, null, file:PATH and unix:PATH", text);
}

void parse_on_panic(std::string_view text, FailurePolicy& policy) {
  const auto equals = text.find('=');
  const auto action = value_of<PanicAction>(text.substr(0, equals));
  const std::string_view repository = equals == text.npos ? "" : text.substr(equals + 1);
  const bool takes_one = action == PanicAction::kCheckpoint;
  if (!action || takes_one != !repository.empty() || takes_one != (equals != text.npos))
    throw UsageError("--on-panic cannot be \"{}\": choose one of exit, pause and checkpoint=REPO", text);
  policy.on_panic = *action;
  if (!takes_one) return;
  policy.panic_repository = absolute_path(std::string(repository), "--on-panic");
  check_store_place(policy.panic_repository);
}

std::string trace_help() {
  return fmt::format("Print what happens, of {}; with json as JSON lines", offered_words<TraceKind>());
}

TraceConfig parse_trace(const std::vector<std::string>& texts) {
  TraceConfig trace;
  for (const std::string& text : texts) {
    for (const std::string& word : split_at_commas(text)) {
      if (word == "json") {
        trace.json = true;
      } else if (const auto kind = value_of<TraceKind>(word)) {
        trace.add(*kind);
      } else {
        throw UsageError("--trace cannot be \"{}\": choose from {}", word, offered_words<TraceKind>() + " and json");
      }
    }
  }
  if (trace.json && trace.kinds == 0)
    throw UsageError("--trace json says only how: choose from {}, too", offered_words<TraceKind>());
  return trace;
}

GdbOption parse_gdb(const std::string& text) {
  constexpr std::string_view kWait = ",wait";
  GdbOption option;
  option.waits = text.ends_with(kWait);
  option.address = option.waits ? text.substr(0, text.size() - kWait.size()) : text;
  if (option.address.empty()) throw UsageError("--gdb needs an address: a port of this computer, or unix:PATH");
  if (option.address.starts_with("unix:"))
    option.address = "unix:" + absolute_path(option.address.substr(5), "--gdb").string();
  else if (option.address.find('/') != std::string::npos)
    option.address = "unix:" + absolute_path(option.address, "--gdb").string();
  return option;
}

}  // namespace tintype
