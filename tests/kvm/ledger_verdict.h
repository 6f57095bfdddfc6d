// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <filesystem>
#include <string>

#include "tests/support/tintype_process.h"

namespace tintype::test {

/// Restores the newest checkpoint in a fresh process and has the guest audit itself.
inline std::string ledger_verdict(const TestDirectory& directory, const std::filesystem::path& repository, int round) {
  const auto disks = directory / ("restored-" + std::to_string(round));
  std::filesystem::create_directory(disks);
  MachineProcess restored({"restore", repository, "--name", "restored", "--disk-dir", disks});
  restored.type("q");
  const auto line = restored.wait_for("LEDGER ", std::chrono::seconds(30));
  std::string last = line.value_or("nothing");
  while (last.find("LEDGER RUN") != std::string::npos || last.find("LEDGER FLUSH") != std::string::npos) {
    last = restored.wait_for("LEDGER ", std::chrono::seconds(30)).value_or("nothing");
  }
  restored.kill();
  std::filesystem::remove_all(disks);
  return last;
}

}  // namespace tintype::test
