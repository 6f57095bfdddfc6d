// SPDX-License-Identifier: Apache-2.0
#include <nlohmann/json.hpp>

#include "checkpoint/backup/retention.h"
#include "checkpoint/store/checkpoint_store.h"
#include "checkpoint/store/operations.h"
#include "vmm/cli/inspect.h"
#include "vmm/cli/output.h"
#include "vmm/cli/report_text.h"
#include "vmm/cli/values.h"
#include "vmm/cli/verb.h"
#include "vmm/cli/verb_options.h"
#include "vmm/control/status_json.h"

namespace tintype {

using nlohmann::json;

namespace {

json note_json(const std::optional<CheckNote>& note) {
  if (!note) return nullptr;
  return {{"time", note->time}, {"good", note->good}, {"said", note->said}};
}

std::string note_text(const std::optional<CheckNote>& note) { return !note ? "-" : note->good ? "good" : "BAD"; }

std::optional<std::uint64_t> age_of(const Manifest& manifest) {
  const auto taken = parse_utc(manifest.time), now = parse_utc(utc_time_text());
  if (!taken || !now || *now < *taken) return std::nullopt;
  return static_cast<std::uint64_t>((*now - *taken).count());
}

/// "42s", "17m", "5h", "12d": to be seen at a glance.
std::string age_text(std::optional<std::uint64_t> seconds) {
  if (!seconds) return "-";
  if (*seconds < 100) return fmt::format("{}s", *seconds);
  if (*seconds < 100 * 60) return fmt::format("{}m", *seconds / 60);
  if (*seconds < 48 * 3600) return fmt::format("{}h", *seconds / 3600);
  return fmt::format("{}d", *seconds / 86400);
}

json summary_json(const CheckpointSummary& checkpoint) {
  if (!checkpoint.manifest)
    return {{"id", checkpoint.id}, {"bytes", checkpoint.bytes}, {"problem", checkpoint.problem}};
  const Manifest& manifest = *checkpoint.manifest;
  return {{"id", checkpoint.id},
          {"bytes", checkpoint.bytes},
          {"vm", manifest.vm},
          {"time", manifest.time},
          {"strategy", name_of(manifest.report.strategy)},
          {"holds", name_of(manifest.report.holds)},
          {"identity", manifest.identity},
          {"parent", manifest.parent == 0 ? json(nullptr) : json(manifest.parent)},
          {"memory", manifest.machine.memory},
          {"cpus", manifest.machine.cpus},
          {"pause_us", manifest.report.pause_us.total},
          {"age_s", age_of(manifest) ? json(*age_of(manifest)) : json(nullptr)},
          {"compared", manifest.report.compared},
          {"verified", note_json(checkpoint.checks.verified)},
          {"drilled", note_json(checkpoint.checks.drilled)}};
}

void print_summary(const CheckpointSummary& checkpoint, Output& output) {
  if (!checkpoint.manifest) {
    output.line("{:>8}  cannot be read: {}", checkpoint.id, checkpoint.problem);
    return;
  }
  const Manifest& manifest = *checkpoint.manifest;
  output.line("{:>8} {:>8}  {:<20} {:>5}  {:<16} {:<8} {:<6} {:>10} {:>10} {:>12}  {:<8} {}", checkpoint.id,
              manifest.parent == 0 ? "-" : std::to_string(manifest.parent), manifest.time, age_text(age_of(manifest)),
              manifest.vm, name_of(manifest.report.strategy), name_of(manifest.report.holds),
              format_size(manifest.machine.memory), format_size(checkpoint.bytes),
              format_microseconds(manifest.report.pause_us.total), note_text(checkpoint.checks.verified),
              note_text(checkpoint.checks.drilled));
}

int show_all(const std::filesystem::path& repository, Output& output) {
  json list = json::array();
  const auto checkpoints = list_checkpoints(repository);
  if (checkpoints.empty()) output.line("There is no checkpoint in {}.", repository.string());
  if (!checkpoints.empty()) {
    output.line("{:>8} {:>8}  {:<20} {:>5}  {:<16} {:<8} {:<6} {:>10} {:>10} {:>12}  {:<8} {}", "ID", "PARENT", "TIME",
                "AGE", "MACHINE", "STRATEGY", "HOLDS", "MEMORY", "ON DISK", "PAUSE", "VERIFIED", "DRILL");
  }
  for (const CheckpointSummary& checkpoint : checkpoints) {
    print_summary(checkpoint, output);
    list.push_back(summary_json(checkpoint));
  }
  output.result({{"repository", path_to_json(repository)}, {"checkpoints", list}});
  return 0;
}

void print_machine(const Manifest& manifest, Output& output) {
  const MachineDescription& machine = manifest.machine;
  if (manifest.parent != 0) output.line("builds on   checkpoint {}", manifest.parent);
  output.line("taken       {} on {} by Tintype {}", manifest.time, manifest.host, manifest.tintype_version);
  const std::string model = machine.cpu.model.empty() ? "" : fmt::format(" ({})", machine.cpu.model);
  output.line("machine     {} memory, {}{}", format_size(machine.memory), counted(machine.cpus, "CPU"), model);
  output.line("kernel      {}{}{}", machine.kernel.string(), machine.append.empty() ? "" : " ", machine.append);
  for (const DiskDescription& disk : machine.disks) {
    output.line("{:<11} {} ({}, {}{})", disk.id, disk.image.string(), format_size(disk.size), disk.mode,
                disk.read_only ? ", read-only" : "");
  }
  for (const PartDescription& part : manifest.parts) {
    output.line("{:<14} {:>10}  in {}{}", "part " + part.name, format_size(part.summary.file_bytes), part.file,
                part.summary.incremental ? ", what changed" : "");
  }
}

/// What came of looking at it again, where somebody did.
void print_notes(const CheckNotes& notes, Output& output) {
  const auto line = [&](const char* what, const std::optional<CheckNote>& note) {
    if (note) output.line("{:<11} {}: {}; {}", what, note->time, note->good ? "good" : "BAD", note->said);
  };
  line("verified", notes.verified);
  line("drilled", notes.drilled);
}

int show_one(const std::filesystem::path& repository, std::uint64_t id, Output& output) {
  if (output.json()) {
    output.result_text(show_checkpoint_json(repository, id));
    return 0;
  }
  const Manifest manifest = show_checkpoint(repository, id);
  output.line("{}", stored_report_text(manifest.report));
  print_machine(manifest, output);
  print_notes(open_store(repository)->notes_on(id), output);
  return 0;
}

class ShowVerb final : public Verb {
 public:
  void declare(VerbOptions& options) override {
    options.repository(repository_);
    options.number("--id", id_, "Show one checkpoint whole");
    inspect_.declare(options, "in that checkpoint");
  }

  int run(Output& output) override {
    const InspectRequest wish = inspect_.request();
    if (inspect_.any()) return look(wish, output);
    return id_ ? show_one(repository_, *id_, output) : show_all(repository_, output);
  }

 private:
  int look(const InspectRequest& wish, Output& output) const {
    const CheckpointReader checkpoint(repository_, id_);
    Inspection seen = inspect(Inspector(checkpoint), wish);
    seen.object["id"] = checkpoint.manifest().id;
    output.line("{}", seen.text);
    output.result(seen.object);
    return 0;
  }

  std::filesystem::path repository_;
  std::optional<std::uint64_t> id_;
  InspectOptions inspect_;
};

}  // namespace

std::unique_ptr<Verb> make_show_verb() { return std::make_unique<ShowVerb>(); }

}  // namespace tintype
