// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "tests/support/tintype_process.h"

namespace tintype::test {

/// QEMU's microvm on the same KVM and the same guest file, to compare with.
class Qemu {
 public:
  /// `directory` takes its control socket.
  Qemu(const std::filesystem::path& directory, const std::string& image, const std::string& append,
       const std::string& memory);
  ~Qemu();

  MachineProcess& guest() noexcept { return *process_; }
  /// Its live snapshot (`background-snapshot`, userfaultfd write protection) to a file; returns when it is complete.
  void background_snapshot(const std::filesystem::path& file);

 private:
  std::string command(const std::string& json);
  std::string read_reply();

  std::filesystem::path socket_path_;
  std::unique_ptr<MachineProcess> process_;
  UniqueFd socket_;
  std::string unread_;
};

}  // namespace tintype::test
