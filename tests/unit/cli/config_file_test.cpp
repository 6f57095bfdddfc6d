// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "vmm/base/error.h"
#include "vmm/cli/run_options.h"

using namespace tintype;

namespace {

constexpr auto kFile = "/etc/vm/a.toml";

void refused(const std::string& text, const char* part) {
  CAPTURE(text);
  CHECK_THROWS_WITH_AS(parse_config(text, kFile), doctest::Contains(part), UsageError);
}

}  // namespace

TEST_CASE("a configuration has every option of run") {
  const RunOptions options = parse_config(R"(
kernel = "vmlinuz"
initrd = "/boot/initrd"
append = "quiet"
memory = "1G"
cpus = 4
name = "a"
disk = ["one.raw,readonly", { file = "two.raw", mode = "persistent", serial = "S" }]
disk-dir = "run"
serial = "file:log"
detach = true
trace = ["exits", "mmio,pio", "json"]
)",
                                          kFile);
  CHECK(options.kernel == "/etc/vm/vmlinuz");
  CHECK(options.initrd == "/boot/initrd");
  CHECK(options.append == "quiet");
  CHECK(options.memory == 1 << 30);
  CHECK(options.cpus == 4);
  CHECK(options.name == "a");
  REQUIRE(options.disks.size() == 2);
  CHECK(options.disks[0].image == "/etc/vm/one.raw");
  CHECK(options.disks[0].read_only);
  CHECK(options.disks[1].image == "/etc/vm/two.raw");
  CHECK(options.disks[1].mode == DiskMode::kPersistent);
  CHECK(options.disks[1].serial == "S");
  CHECK(options.disk_directory == "/etc/vm/run");
  CHECK(options.serial == "file:/etc/vm/log");
  CHECK(options.detach);
  CHECK(options.trace == std::vector<std::string>{"exits", "mmio,pio", "json"});
}

TEST_CASE("other ways to write the same") {
  const RunOptions options = parse_config("memory = 1048576\ntrace = \"pio\"\ndisk = \"x\"\n", kFile);
  CHECK(options.memory == 1 << 20);
  CHECK(options.trace.size() == 1);
  CHECK(options.disks.size() == 1);
  const RunOptions disk = parse_config(
      "[[disk]]\nfile = \"x\"\ncache = \"unsafe\"\non-error = \"pause\"\nblock-size = 4096\niops = 50\nbps = \"1M\"\n",
      kFile);
  CHECK(disk.disks.at(0).behaviour == DiskBehaviour{DiskCache::kUnsafe, OnDiskError::kPause, 4096, 50, 1 << 20});
  CHECK(parse_config("[[disk]]\nfile = \"x\"\n[[disk]]\nfile = \"y\"\nreadonly = true\n", kFile).disks.at(1).read_only);
}

TEST_CASE("an unknown key is an error that names the line") {
  refused("cpus = 1\nkernal = \"x\"\n", "/etc/vm/a.toml line 2: there is no key \"kernal\"");
  refused("[[disk]]\nfile = \"x\"\nspeed = 1\n", "line 3");
  refused("\n\n[kernel]\nx = 1\n", "line 3");
}

TEST_CASE("a value of the wrong kind is an error that names the line") {
  refused("\nkernel = 1", "line 2");
  refused("cpus = \"four\"", "line 1: cpus");
  refused("cpus = -1", "line 1");
  refused("memory = \"lots\"", "line 1: memory");
  refused("memory = 1.5", "line 1");
  refused("\ndetach = \"yes\"", "line 2");
  refused("serial = \"tcp:1\"", "line 1");
  refused("trace = [\"exits\",\n\"all\"]", "line 2");
  refused("trace = [1]", "line 1");
  refused("disk = [{ mode = \"persistent\" }]", "line 1: a disk needs a file");
  refused("disk = [{ file = \"x\", mode = \"fast\" }]", "line 1");
  refused("disk = 5", "line 1");
  refused("[[disk]]\nfile = \"x\"\ncache = \"fast\"\n", "line 3");
  refused("[[disk]]\nfile = \"x\"\nblock-size = 1000\n", "line 3");
  refused("[[disk]]\nfile = \"x\"\niops = true\n", "line 3");
}

TEST_CASE("a file that is not TOML is an error that names the line") {
  refused("cpus = 1\n= 2\n", "line 2");
  refused("cpus = 1\ncpus = 2\n", "line 2");
  refused("\xff\xfe", "line 1");
}

TEST_CASE("a configuration that cannot be read is named") {
  CHECK_THROWS_WITH_AS(read_config_file("/nowhere/x.toml"), doctest::Contains("/nowhere/x.toml"), Error);
}
