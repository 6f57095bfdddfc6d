// SPDX-License-Identifier: Apache-2.0
#include "vmm/cli/run_options.h"

#include <doctest/doctest.h>

#include "vmm/base/error.h"

using namespace tintype;

namespace {

RunOptions with_kernel() {
  RunOptions options;
  options.kernel = "k.elf";
  return options;
}

}  // namespace

TEST_CASE("what is given on the command line wins over the file") {
  RunOptions line = with_kernel();
  line.cpus = 2;
  line.disks.push_back({"line.raw", DiskMode::kPersistent, false, ""});
  RunOptions file;
  file.kernel = "other";
  file.cpus = 8;
  file.memory = 1 << 30;
  file.name = "filed";
  file.disks.push_back({"file.raw", DiskMode::kPersistent, false, ""});
  file.trace = {"exits"};
  line.fill_from(file);
  CHECK(line.kernel == "k.elf");
  CHECK(line.cpus == 2);
  CHECK(line.memory == 1 << 30);
  CHECK(line.name == "filed");
  REQUIRE(line.disks.size() == 1);
  CHECK(line.disks[0].image == "line.raw");
  CHECK(line.trace == std::vector<std::string>{"exits"});
}

TEST_CASE("a machine without a kernel, or with senseless values, is wrong usage") {
  CHECK_THROWS_AS(machine_config({}, false), UsageError);
  RunOptions options = with_kernel();
  options.memory = 1;
  CHECK_THROWS_AS(machine_config(options, false), UsageError);
  options = with_kernel();
  options.cpus = 65;
  CHECK_THROWS_AS(machine_config(options, false), UsageError);
  options = with_kernel();
  options.name = "../x";
  CHECK_THROWS_AS(machine_config(options, false), UsageError);
  options = with_kernel();
  options.kernel = "";
  CHECK_THROWS_AS(machine_config(options, false), UsageError);
}

TEST_CASE("paths become absolute, because a detached machine leaves the directory") {
  RunOptions options = with_kernel();
  options.initrd = "./i";
  options.disk_directory = "d";
  options.serial = "file:s";
  options.disks.push_back({"a/../x.raw", DiskMode::kPersistent, false, ""});
  const MachineConfig config = machine_config(options, false);
  const auto here = std::filesystem::current_path();
  CHECK(config.kernel == here / "k.elf");
  CHECK(config.initrd == here / "i");
  CHECK(config.disk_directory == here / "d");
  CHECK(config.serial.path == here / "s");
  CHECK(config.disks[0].image == here / "a/../x.raw");  // not x.raw: a may be a link
}

TEST_CASE("the machine gets a name and the promised defaults") {
  const MachineConfig config = machine_config(with_kernel(), false);
  CHECK(config.name.starts_with("vm-"));
  CHECK(config.memory == 256 << 20);
  CHECK(config.cpus == 1);
  CHECK(config.serial.kind == SerialKind::kStdio);
}

TEST_CASE("the serial line keeps off a stdout that is spoken for") {
  CHECK(serial_config({}, false, false).kind == SerialKind::kStdio);
  CHECK(serial_config({}, true, false).kind == SerialKind::kNull);
  CHECK(serial_config({}, false, true).kind == SerialKind::kNull);
  CHECK(serial_config("file:x", true, true).kind == SerialKind::kFile);
  CHECK_THROWS_AS(serial_config("stdio", true, false), UsageError);
  CHECK_THROWS_AS(serial_config("stdio", false, true), UsageError);
}
