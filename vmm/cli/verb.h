// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <span>

namespace tintype {

class Output;
class VerbOptions;

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
  const char* name;
  const char* summary;
  std::unique_ptr<Verb> (*make)();
};

/// All verbs, in the order in which help shows them.
std::span<const VerbEntry> verbs();

std::unique_ptr<Verb> make_run_verb();
std::unique_ptr<Verb> make_list_verb();
std::unique_ptr<Verb> make_status_verb();
std::unique_ptr<Verb> make_pause_verb();
std::unique_ptr<Verb> make_continue_verb();
std::unique_ptr<Verb> make_stop_verb();
std::unique_ptr<Verb> make_checkpoint_verb();
std::unique_ptr<Verb> make_restore_verb();
std::unique_ptr<Verb> make_show_verb();
std::unique_ptr<Verb> make_verify_verb();
std::unique_ptr<Verb> make_delete_verb();
std::unique_ptr<Verb> make_export_verb();
std::unique_ptr<Verb> make_doctor_verb();

}  // namespace tintype
