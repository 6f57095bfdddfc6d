// SPDX-License-Identifier: Apache-2.0
#pragma once

// The values of options, from text (and back: amounts.h). Every parser throws UsageError with a sentence that names the
// option, as it was written.

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "vmm/base/amounts.h"
#include "vmm/machine/config.h"

namespace tintype {

std::uint64_t parse_number(std::string_view text, std::string_view option);

/// Bytes, or a whole number of "K", "M", "G" or "T" (powers of 1024).
std::uint64_t parse_size(std::string_view text, std::string_view option);

/// Milliseconds: a whole number of "ms", "s", "m" or "h"; or "hourly", "daily", "weekly".
std::uint64_t parse_time(std::string_view text, std::string_view option);

/// A path as `option` gave it, absolute, since a machine has a working directory of its own. An empty one is wrong
/// usage.
std::filesystem::path absolute_path(const std::filesystem::path& path, std::string_view option);
/// The name of a repository: a directory, made absolute; or s3://BUCKET/PREFIX, with where that store is.
std::filesystem::path repository_name(const std::string& text, std::string_view option);

/// Guest memory: a multiple of 4 KiB from 1 MiB to 1 TiB.
std::uint64_t checked_memory_size(std::uint64_t bytes);
unsigned checked_cpu_count(std::uint64_t count);

inline constexpr std::string_view kDiskSettings =
    "mode=, readonly, serial=, cache=, on-error=, block-size=, iops= and bps=";
/// One of them that has a value; false where there is no such key.
bool apply_disk_setting(std::string_view key, std::string_view value, DiskConfig& disk);
/// FILE[,mode=persistent|undoable|nonpersistent][,readonly][,serial=TEXT][,cache=writeback|none|unsafe]
/// [,on-error=report|pause][,block-size=512|4096][,iops=N][,bps=SIZE]; a comma in a value is written twice.
DiskConfig parse_disk(std::string_view text);
/// The text at most 20 printable ASCII characters (virtio-blk has no room for more).
std::string checked_disk_serial(std::string_view text);

inline constexpr const char *kSerialWords = "stdio, null, file:, unix:", *kPanicWords = "exit, pause, checkpoint=";
/// stdio|null|file:PATH|unix:PATH
SerialConfig parse_serial(std::string_view text);

/// Where gdb is waited for, and whether the machine waits for it, too.
struct GdbOption {
  std::string address;  ///< empty: nowhere
  bool waits = false;
};
/// ADDR[,wait]; a path is made absolute.
GdbOption parse_gdb(const std::string& text);

/// "exit", "pause" or "checkpoint=REPO".
void parse_on_panic(std::string_view text, FailurePolicy& policy);

std::string trace_help();
/// Words of TraceKind, and json; separated by commas, in any number of texts.
TraceConfig parse_trace(const std::vector<std::string>& texts);

}  // namespace tintype
