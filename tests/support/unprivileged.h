// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <unistd.h>

#include <string>

#include "tests/support/tintype_process.h"

namespace tintype::test {

/// The command line of a machine whose process may not catch faults that the kernel takes, though this one may: without
/// CAP_SYS_PTRACE, and with a /dev/userfaultfd that does nothing.
inline Arguments without_privilege(const Arguments& arguments) {
  const std::string tintype = build_directory() / "tintype";
  Arguments command{"sh", "-c", "exec \"$@\"", "sh", tintype};
  if (::geteuid() == 0) {
    command = {"unshare",
               "--mount",
               "sh",
               "-c",
               "test -e /dev/userfaultfd && mount --bind /dev/null /dev/userfaultfd; "
               "exec setpriv --bounding-set=-sys_ptrace --inh-caps=-sys_ptrace \"$@\"",
               "sh",
               tintype};
  }
  command.insert(command.end(), arguments.begin(), arguments.end());
  return command;
}

/// Such a machine.
class UnprivilegedMachine : public MachineProcess {
 public:
  explicit UnprivilegedMachine(const Arguments& arguments) : UnprivilegedMachine(without_privilege(arguments), 0) {}

 private:
  UnprivilegedMachine(const Arguments& command, int)
      : MachineProcess(command.front(), {command.begin() + 1, command.end()}) {}
};

/// Why the strategies that need it cannot be tried without privilege here; empty where they can. `name` is such a
/// machine, which runs.
inline std::string why_not_unprivileged(const std::string& name, const std::string& repository) {
  const CommandResult held = tintype({"checkpoint", name, "--to", repository, "--strategy", "cow"});
  if (held.exit_code == 0) return "on this host anybody may catch faults of the kernel's";
  const CommandResult known = tintype({"checkpoint", name, "--to", repository, "--strategy", "precopy"});
  return known.exit_code == 0 ? std::string() : known.err;
}

}  // namespace tintype::test
