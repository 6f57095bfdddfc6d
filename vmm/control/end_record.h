// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include <nlohmann/json_fwd.hpp>

namespace tintype {

/// How a detached machine ended: NAME.end in the runtime directory, until the next machine of that name starts. Nobody
/// waits for such a machine, so that its exit status would be lost. While it runs the record says that it was killed:
/// who is killed cannot write any more, and nobody reads the record of a machine that lives.
struct EndRecord {
  std::string name;
  std::string state = "ended";  ///< or "killed"
  std::uint32_t exit_code = 0;
  std::string reason;
  std::string ended;               ///< UTC, ISO 8601; empty where it was killed: nobody knows when
  std::optional<std::string> log;  ///< where it had something to say
};

/// Of a machine that this process will be until it is killed. The exit status is a shell's for SIGKILL.
EndRecord record_of_killed(const std::string& name);
inline bool was_killed(const EndRecord& record) { return record.state == "killed"; }

/// Where there is no room, the console that is kept makes some. Throws std::system_error; then neither is there.
void write_end_record(const std::filesystem::path& directory, const EndRecord& record);
/// Nothing where there is none that can be read.
std::optional<EndRecord> read_end_record(const std::filesystem::path& directory, const std::string& name);
/// And what is kept with it.
void remove_end_record(const std::filesystem::path& directory, const std::string& name) noexcept;

/// The last that its guest printed: NAME.console, as long as the record. All of it or none: throws
/// std::system_error.
void write_kept_console(const std::filesystem::path& directory, const std::string& name, const std::string& text);
/// Empty where there is none.
std::string read_kept_console(const std::filesystem::path& directory, const std::string& name);

nlohmann::json end_record_to_json(const EndRecord& record);

}  // namespace tintype
