// SPDX-License-Identifier: Apache-2.0
#include "vmm/cli/verb.h"

#include "vmm/control/methods.h"

namespace tintype {

std::vector<VerbEntry> verbs() {
  std::vector<VerbEntry> list = {{"run", "Boot a kernel and run it", make_run_verb},
                                 {"list", "Show the machines that run", make_list_verb}};
  for (const RpcMethod& method : rpc_methods()) {
    list.push_back({method.name, method.help, [&method] { return make_method_verb(method); }});
  }
  const VerbEntry rest[] = {
      {"restore", "Run a machine on from a checkpoint", make_restore_verb},
      {"resume", "Run a suspended machine on", make_resume_verb},
      {"show", "Show the checkpoints of a repository, or one of them", make_show_verb},
      {"verify", "Read checkpoints whole and check every byte", make_verify_verb},
      {"diff", "Say which pages and disk blocks differ between two checkpoints", make_diff_verb},
      {"delete", "Delete a checkpoint", make_delete_verb},
      {"prune", "Delete checkpoints by a rule of how many of which age stay", make_prune_verb},
      {"copy", "Copy checkpoints to another repository", make_copy_verb},
      {"send", "Write a checkpoint as a stream", make_send_verb},
      {"receive", "Take in a stream of checkpoints", make_receive_verb},
      {"export", "Write a checkpoint's memory or disks as flat files", make_export_verb},
      {"disk", "Look at a disk image and its redo logs, commit or discard them", make_disk_verb},
      {"gdb", "Let gdb look at the machine in a checkpoint", make_gdb_verb},
      {"doctor", "Check what this computer can do, and say how to mend what is missing", make_doctor_verb},
  };
  list.insert(list.end(), std::begin(rest), std::end(rest));
  return list;
}

}  // namespace tintype
