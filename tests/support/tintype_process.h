// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "vmm/base/unique_fd.h"

namespace tintype::test {

using Arguments = std::vector<std::string>;

/// build/, worked out from where the test program lies (build/tests/SUITE/NAME_tests), or TINTYPE_BUILD_DIR.
std::filesystem::path build_directory();
std::filesystem::path guest_image(const std::string& name);

/// A directory that goes when the test does. Runtime sockets of machines started by this process lie in `runtime` below
/// it.
class TestDirectory {
 public:
  TestDirectory();
  ~TestDirectory();
  TestDirectory(const TestDirectory&) = delete;
  TestDirectory& operator=(const TestDirectory&) = delete;
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }
  std::filesystem::path blank_image(const std::string& name, std::uint64_t bytes) const;

 private:
  std::filesystem::path path_;
};

/// What a `tintype` command did.
struct CommandResult {
  int exit_code = -1;  ///< -1: killed, or out of time
  std::string out, err;
};

/// Runs `tintype ARGUMENTS...` to its end; kills it when the time is over.
CommandResult tintype(const Arguments& arguments, std::chrono::seconds limit = std::chrono::seconds(60));

/// A machine in a process of its own: `tintype run` or `tintype restore` in the foreground. What the guest prints is
/// collected; it is killed when the object goes.
class MachineProcess {
 public:
  explicit MachineProcess(const Arguments& arguments);
  /// The same for another program, to compare with.
  MachineProcess(const std::string& program, const Arguments& arguments);
  ~MachineProcess();
  MachineProcess(const MachineProcess&) = delete;
  MachineProcess& operator=(const MachineProcess&) = delete;

  void type(const std::string& text);
  /// The first line not returned yet that contains `text`; skips the others. Nothing when the time is over or the
  /// guest's output has ended.
  std::optional<std::string> wait_for(const std::string& text,
                                      std::chrono::milliseconds limit = std::chrono::seconds(30));
  /// SIGKILL, and waits.
  void kill();
  /// The exit code; -1 where it was killed or the time is over.
  int wait(std::chrono::milliseconds limit = std::chrono::seconds(30));
  pid_t pid() const noexcept { return pid_; }
  /// Everything printed so far, on stdout and stderr.
  const std::string& transcript() const noexcept { return transcript_; }

 private:
  bool read_more(std::chrono::steady_clock::time_point until);

  pid_t pid_ = -1;
  UniqueFd input_, output_;
  std::string unread_, transcript_;
  std::optional<int> exit_code_;
};

}  // namespace tintype::test
