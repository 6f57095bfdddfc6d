// SPDX-License-Identifier: Apache-2.0
#include <set>
#include <utility>

#include <nlohmann/json.hpp>

#include "checkpoint/store/export.h"
#include "checkpoint/store/operations.h"
#include "vmm/base/error.h"
#include "vmm/cli/destination.h"
#include "vmm/cli/output.h"
#include "vmm/cli/values.h"
#include "vmm/cli/verb.h"
#include "vmm/cli/verb_options.h"
#include "vmm/control/status_json.h"
#include "vmm/machine/core_file.h"

namespace tintype {

using nlohmann::json;

namespace {

struct DiskExport {
  std::string id;
  std::filesystem::path file;
};

DiskExport parse_disk_export(const std::string& text) {
  const auto equals = text.find('=');
  if (equals == std::string::npos || equals == 0 || equals + 1 == text.size()) {
    throw UsageError("--disk cannot be \"{}\": give the disk's id and a file, as in disk0=FILE", text);
  }
  return {text.substr(0, equals), absolute_path(text.substr(equals + 1), "--disk")};
}

class ExportVerb final : public Verb {
 public:
  void declare(VerbOptions& options) override {
    options.repository(repository_);
    options.number("--id", id_, "Which checkpoint, by default the newest");
    options.path("--memory", "FILE", memory_, "Write guest memory to this file, at guest physical addresses");
    options.path(
        "--core", "FILE", core_,
        "Write the machine to this file, in the place of what is there, as an ELF core, for gdb, crash and drgn");
    options.list("--disk", "ID=FILE", disks_, "Write a disk to this file, as an image");
    options.text("--format", "FORMAT", format_, "Of disk images: raw (the default) or qcow2");
    options.words(offered_words<ImageFormat>());
  }

  int run(Output& output) override {
    std::vector<DiskExport> disks;
    for (const std::string& text : disks_) disks.push_back(parse_disk_export(text));
    if (!memory_ && !core_ && disks.empty())
      throw UsageError("say what to export: --memory FILE, --core FILE, or --disk ID=FILE");
    if (format_ && disks.empty()) throw UsageError("--format is that of disk images: give a disk with --disk ID=FILE");
    const auto format = format_ ? chosen_value<ImageFormat>(*format_, "--format") : ImageFormat::kRaw;
    check_destinations(disks);
    const std::uint64_t id = show_checkpoint(repository_, id_).id;  // all parts of the same checkpoint
    check_contents(id, disks);
    if (memory_) report("memory", export_memory(repository_, id, *memory_, output.progress()), output);
    if (core_) report_core(export_core(CheckpointReader(repository_, id), *core_, output.progress()), output);
    for (const DiskExport& disk : disks)
      report(disk.id, export_disk(repository_, id, disk.id, disk.file, output.progress(), format), output);
    output.result({{"repository", path_to_json(repository_)}, {"id", id}, {"files", files_}});
    return 0;
  }

 private:
  void check_destinations(const std::vector<DiskExport>& disks) const {
    std::set<std::filesystem::path> files;
    const auto check = [&](const std::filesystem::path& file) {
      if (!files.insert(file).second)
        throw UsageError("{} is given twice: give each export its own file", file.string());
      check_outside(repository_, file);
      check_may_be_replaced(file);
    };
    if (memory_) check(*memory_);
    if (core_) check(*core_);
    for (const DiskExport& disk : disks) check(disk.file);
  }

  /// All that is asked for is there, or nothing is written.
  void check_contents(std::uint64_t id, const std::vector<DiskExport>& disks) const {
    const CheckpointReader checkpoint(repository_, id);
    if (memory_ || core_) checkpoint.require(Portion::kMemory);
    for (const DiskExport& disk : disks) checkpoint.require_disk(disk.id);
  }

  void report_core(const CoreFile& core, Output& output) {
    report("core", core.file, output);
    output.line("{:<11} {}, {} at linear addresses{}", "", counted(core.cpus, "CPU"),
                counted(core.mapped_runs, "segment"),
                core.all_mapped ? "" : "; the page tables map more than there is room for");
    if (core.linux_release.empty()) {
      output.line("{:<11} no VMCOREINFO in its memory, which crash and drgn need: no Linux, or not yet", "");
    } else {
      output.line("{:<11} Linux {}", "", core.linux_release);
    }
    json& file = files_.back();
    file["cpus"] = core.cpus;
    file["mapped_runs"] = core.mapped_runs;
    file["all_mapped"] = core.all_mapped;
    file["linux"] = core.linux_release.empty() ? json() : json(core.linux_release);
  }

  void report(const std::string& part, const ExportedFile& file, Output& output) {
    output.end_progress();
    output.line("{:<11} {}: {}, {} of it data", part, file.path.string(), format_size(file.bytes),
                format_size(file.data_bytes));
    files_.push_back(
        {{"part", part}, {"file", path_to_json(file.path)}, {"bytes", file.bytes}, {"data_bytes", file.data_bytes}});
  }

  std::filesystem::path repository_;
  std::optional<std::uint64_t> id_;
  std::optional<std::filesystem::path> memory_, core_;
  std::vector<std::string> disks_;
  std::optional<std::string> format_;
  json files_ = json::array();
};

}  // namespace

std::unique_ptr<Verb> make_export_verb() { return std::make_unique<ExportVerb>(); }

}  // namespace tintype
