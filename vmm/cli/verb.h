// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <string_view>
#include <vector>

namespace tintype {

class Output;
class VerbOptions;
struct RpcMethod;

/// What stands after `tintype`: one class a verb, in a file of its own.
class Verb {
 public:
  virtual ~Verb() = default;
  /// Says which options there are and binds them to members.
  virtual void declare(VerbOptions& options) = 0;
  /// Does it and returns the exit status. Throws UsageError (exit 2) or anything else (exit 1) with a sentence for the
  /// user.
  virtual int run(Output& output) = 0;
};

struct VerbEntry {
  std::string_view name, summary;
  std::function<std::unique_ptr<Verb>()> make;
};

/// All verbs, in the order in which help shows them.
std::vector<VerbEntry> verbs();

/// A verb for a running machine.
std::unique_ptr<Verb> make_method_verb(const RpcMethod& method);

std::unique_ptr<Verb> make_run_verb();
std::unique_ptr<Verb> make_list_verb();
std::unique_ptr<Verb> make_status_verb();
std::unique_ptr<Verb> make_wait_verb();
std::unique_ptr<Verb> make_logs_verb();
std::unique_ptr<Verb> make_console_verb();
std::unique_ptr<Verb> make_events_verb();
std::unique_ptr<Verb> make_watch_verb();
std::unique_ptr<Verb> make_restore_verb();
std::unique_ptr<Verb> make_resume_verb();
std::unique_ptr<Verb> make_promote_verb();
std::unique_ptr<Verb> make_serve_verb();
std::unique_ptr<Verb> make_standby_verb();
std::unique_ptr<Verb> make_show_verb();
std::unique_ptr<Verb> make_verify_verb();
std::unique_ptr<Verb> make_delete_verb();
std::unique_ptr<Verb> make_prune_verb();
std::unique_ptr<Verb> make_diff_verb();
std::unique_ptr<Verb> make_drill_verb();
std::unique_ptr<Verb> make_copy_verb();
std::unique_ptr<Verb> make_send_verb();
std::unique_ptr<Verb> make_receive_verb();
std::unique_ptr<Verb> make_export_verb();
std::unique_ptr<Verb> make_report_verb();
std::unique_ptr<Verb> make_disk_verb();
std::unique_ptr<Verb> make_gdb_verb();
std::unique_ptr<Verb> make_doctor_verb();
std::unique_ptr<Verb> make_completion_verb();
std::unique_ptr<Verb> make_man_verb();

}  // namespace tintype
