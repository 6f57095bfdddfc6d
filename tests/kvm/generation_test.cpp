// SPDX-License-Identifier: Apache-2.0
// A guest reads which generation of its machine it is.
#include <set>

#include <doctest/doctest.h>

#include "tests/support/tintype_process.h"

namespace tintype::test {

namespace {

std::string next_generation(MachineProcess& machine) {
  const auto line = machine.wait_for("GENERATION ");
  return line ? line->substr(line->find("GENERATION ") + 11, 32) : "none";
}

void works(const Arguments& arguments) {
  const CommandResult result = tintype(arguments);
  INFO(result.err);
  REQUIRE(result.exit_code == 0);
}

}  // namespace

TEST_CASE(
    "every restore and clone is another generation; pause, checkpoint, reset to a mark, suspend and resume are not") {
  const TestDirectory directory;
  const auto repository = directory / "repository";
  std::set<std::string> seen;
  {
    MachineProcess machine({"run", "--name", "ticker", "--kernel", guest_image("ticker"), "--append", "every=5",
                            "--memory", "32M", "--disk", directory.blank_image("a.img", 1 << 20)});
    seen.insert(next_generation(machine));
    works({"checkpoint", "ticker", "--to", repository});
    works({"pause", "ticker"});
    works({"continue", "ticker"});
    works({"mark", "ticker"});
    works({"reset", "ticker"});
    works({"suspend", "ticker", "--to", directory / "sleep"});
    machine.wait();
    CHECK(machine.transcript().find("GENERATION") == machine.transcript().rfind("GENERATION"));
  }
  {
    MachineProcess machine({"resume", directory / "sleep"});
    REQUIRE(machine.wait_for("TICK "));
    REQUIRE(machine.wait_for("TICK "));
    CHECK(machine.transcript().find("GENERATION") == std::string::npos);
    works({"reset", "ticker", "--to", repository});
    CHECK(seen.insert(next_generation(machine)).second);
  }
  for (const std::string load : {"lazy", "eager"}) {
    CAPTURE(load);
    MachineProcess machine({"restore", repository, "--memory-load", load, "--disk-dir", directory / "."});
    CHECK(seen.insert(next_generation(machine)).second);
  }
  works({"restore", repository, "--clones", "2", "--name", "clone", "--disk-dir", directory / "."});
  for (const std::string name : {"clone-1", "clone-2"}) {
    MachineProcess console({"console", name});
    CHECK(seen.insert(next_generation(console)).second);
    works({"stop", name, "--force"});
  }
  CHECK(seen.count("none") == 0);
}

}  // namespace tintype::test
