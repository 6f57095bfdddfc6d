// SPDX-License-Identifier: Apache-2.0
#include "vmm/cli/verb.h"

#include "vmm/control/methods.h"

namespace tintype {

std::vector<VerbEntry> verbs() {
  std::vector<VerbEntry> list = {{"run", "Boot a kernel and run it", make_run_verb},
                                 {"list", "Show the machines that run", make_list_verb},
                                 {"status", "Show what one machine is and does, or what is in it", make_status_verb}};
  for (const RpcMethod& method : rpc_methods()) {
    if (!method.is_verb) continue;
    list.push_back({method.name, method.help, [&method] { return make_method_verb(method); }});
  }
  const VerbEntry rest[] = {
      {"wait", "Wait until a machine has ended, was photographed, or has printed something", make_wait_verb},
      {"events", "Tell what happens to machines, a line of JSON each", make_events_verb},
      {"watch", "Show live what a machine does, on a terminal or on a page", make_watch_verb},
      {"logs", "Show what a machine's guest has printed", make_logs_verb},
      {"console", "Attach this terminal to a machine's serial line", make_console_verb},
      {"restore", "Run a machine on from a checkpoint", make_restore_verb},
      {"resume", "Run a suspended machine on", make_resume_verb},
      {"show", "Show the checkpoints of a repository, or one of them", make_show_verb},
      {"verify", "Read checkpoints whole and check every byte", make_verify_verb},
      {"drill", "Restore a checkpoint apart from everything, and say whether it lives", make_drill_verb},
      {"diff", "Say which pages and disk blocks differ between two checkpoints", make_diff_verb},
      {"delete", "Delete a checkpoint", make_delete_verb},
      {"prune", "Delete checkpoints by a rule of how many of which age stay", make_prune_verb},
      {"copy", "Copy checkpoints to another repository", make_copy_verb},
      {"send", "Write a checkpoint as a stream", make_send_verb},
      {"receive", "Take in a stream of checkpoints", make_receive_verb},
      {"standby", "Take in a machine's checkpoints from another computer, and run it when that is lost",
       make_standby_verb},
      {"promote", "Have a standby run the machine", make_promote_verb},
      {"export", "Write a checkpoint's memory or disks as flat files, or a core file", make_export_verb},
      {"report", "Make a page that shows a repository as a film", make_report_verb},
      {"serve", "Offer a disk of a checkpoint over NBD, read-only", make_serve_verb},
      {"disk", "Look at a disk image and its redo logs, commit or discard them", make_disk_verb},
      {"gdb", "Let gdb look at the machine in a checkpoint", make_gdb_verb},
      {"doctor", "Check what this computer can do, and say how to mend what is missing", make_doctor_verb},
      {"completion", "Print what makes a shell complete verbs and options", make_completion_verb},
      {"man", "Print a manual page, or write all of them", make_man_verb},
  };
  list.insert(list.end(), std::begin(rest), std::end(rest));
  return list;
}

}  // namespace tintype
