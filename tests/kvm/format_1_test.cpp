// SPDX-License-Identifier: Apache-2.0
// A machine that a program of version 0.1.0 photographed, in format 1, goes on (tests/data/README.md).
#include <filesystem>

#include <doctest/doctest.h>

#include "tests/support/skip.h"
#include "tests/support/tintype_process.h"

namespace tintype::test {

TEST_CASE("a machine from a checkpoint of format 1 goes on where it was") {
  namespace fs = std::filesystem;
  if (!fs::exists(TINTYPE_TEST_DATA)) SKIP_TEST("the sources with the tests' data are not on this machine");
  const TestDirectory directory;
  fs::copy(TINTYPE_TEST_DATA "/format-1", directory / "repository", fs::copy_options::recursive);
  fs::create_directory(directory / "disks");
  MachineProcess restored({"restore", directory / "repository", "--name", "old", "--disk-dir", directory / "disks"});
  const auto tick = restored.wait_for("TICK f9e3c0d0074c9df0 ");
  if (!tick && restored.transcript().find("features that this host lacks") != std::string::npos)
    SKIP_TEST("this host's CPU is another one than the guest saw");
  CAPTURE(restored.transcript());
  REQUIRE(tick);
  CHECK(restored.transcript().find("TICKER") == std::string::npos);  // resumed, not rebooted
  CHECK(fs::file_size(directory / "disks" / "old-disk0.img") == 300 * 4096 + 512);
}

}  // namespace tintype::test
