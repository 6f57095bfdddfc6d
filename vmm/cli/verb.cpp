// SPDX-License-Identifier: Apache-2.0
#include "vmm/cli/verb.h"

#include <array>

namespace tintype {

namespace {

constexpr std::array kVerbs = {
    VerbEntry{"run", "Boot a kernel and run it", make_run_verb},
    VerbEntry{"list", "Show the machines that run", make_list_verb},
    VerbEntry{"status", "Show what one machine is and does", make_status_verb},
    VerbEntry{"pause", "Stop a machine's CPUs for a while", make_pause_verb},
    VerbEntry{"continue", "Let a paused machine run on", make_continue_verb},
    VerbEntry{"stop", "End a machine", make_stop_verb},
    VerbEntry{"checkpoint", "Photograph a machine while it runs", make_checkpoint_verb},
    VerbEntry{"restore", "Run a machine on from a checkpoint", make_restore_verb},
    VerbEntry{"show", "Show the checkpoints of a repository, or one of them", make_show_verb},
    VerbEntry{"verify", "Read checkpoints whole and check every byte", make_verify_verb},
    VerbEntry{"delete", "Delete a checkpoint", make_delete_verb},
    VerbEntry{"export", "Write a checkpoint's memory or disks as flat files", make_export_verb},
    VerbEntry{"doctor", "Check what this computer can do, and say how to mend what is missing", make_doctor_verb},
};

}  // namespace

std::span<const VerbEntry> verbs() { return kVerbs; }

}  // namespace tintype
