// SPDX-License-Identifier: Apache-2.0
#include <map>

#include <nlohmann/json.hpp>

#include "checkpoint/store/image_file.h"
#include "devices/block/image_tools.h"
#include "vmm/base/error.h"
#include "vmm/base/same_file.h"
#include "vmm/cli/destination.h"
#include "vmm/cli/output.h"
#include "vmm/cli/values.h"
#include "vmm/cli/verb.h"
#include "vmm/cli/verb_options.h"
#include "vmm/control/status_json.h"
#include "vmm/machine/complete_image.h"

namespace tintype {

using nlohmann::json;

namespace {

json log_json(const ImageLog& log) {
  return {{"file", path_to_json(log.file)}, {"sequence", log.sequence},    {"kept", log.kept},
          {"committing", log.committing},   {"bytes", log.bytes},          {"ranges", log.ranges},
          {"left_out", log.left_out},       {"file_bytes", log.file_bytes}};
}

std::string_view fate(const ImageLog& log) {
  if (log.committing) return "being committed, cut short: `tintype disk commit` finishes it";
  return log.kept ? "uncommitted: `tintype disk commit` or `discard`"
                  : "left by a killed machine: committed at the next start";
}

class DiskVerb final : public Verb {
 public:
  void declare(VerbOptions& options) override {
    options.positional("ACTION", action_, "info, commit, discard, check, complete or export");
    options.words("info, commit, discard, check, complete, export");
    options.positional("FILE", file_, "Disk image that no machine writes to");
    options.optional_positional("OUT", out_, "export: the file to write");
    options.path("--disk-dir", "DIR", log_directory_, "Where its redo logs lie, if not beside it");
    options.text("--format", "FORMAT", format_, "export: raw (the default) or qcow2");
    options.words(offered_words<ImageFormat>());
    options.flag("--repair", repair_, "check: mend what can be mended without losing anything");
    options.footer(
        "info     the stack: the image, the redo logs above it, and what each holds\n"
        "commit   puts the updates in the logs into the image\n"
        "discard  throws them away\n"
        "check    names everything that is wrong\n"
        "complete copies what is missing of an image whose machine was killed while it was being restored\n"
        "export   writes the disk as it is with its updates, as a raw or qcow2 image");
  }

  int run(Output& output) override {
    using Action = int (DiskVerb::*)(Output&);
    static const std::map<std::string_view, Action> kActions = {
        {"info", &DiskVerb::info},        {"commit", &DiskVerb::commit},     {"discard", &DiskVerb::discard},
        {"check", &DiskVerb::check_disk}, {"complete", &DiskVerb::complete}, {"export", &DiskVerb::export_image}};
    const auto action = kActions.find(action_);
    if (action == kActions.end())
      throw UsageError("`tintype disk` cannot {}: choose one of info, commit, discard, check, complete and export",
                       action_);
    if (out_ && action_ != "export")
      throw UsageError("`tintype disk {}` takes one file, and not {} too", action_, *out_);
    if (format_ && action_ != "export") throw UsageError("--format is for `tintype disk export` only");
    if (repair_ && action_ != "check") throw UsageError("--repair is for `tintype disk check` only");
    image_ = absolute_path(file_, "FILE");
    return (this->*action->second)(output);
  }

 private:
  std::filesystem::path logs() const { return log_directory_.value_or(std::filesystem::path()); }

  int complete(Output& output) {
    const std::uint64_t bytes = complete_image(image_);
    output.line("{} is whole: {} were copied.", image_.string(), format_size(bytes));
    output.result({{"image", path_to_json(image_)}, {"bytes", bytes}});
    return 0;
  }

  int info(Output& output) {
    const ImageInfo info = describe_image(image_, logs());
    json list = json::array(), void_logs = json::array();
    output.line("{}: {}, {} of it allocated", info.image.string(), format_size(info.bytes),
                format_size(info.allocated_bytes));
    for (const ImageLog& log : info.logs) {
      list.push_back(log_json(log));
      output.line("  log {}: {} holds {} in {} ranges; {}", log.sequence, log.file.string(), format_size(log.bytes),
                  log.ranges, fate(log));
      if (log.left_out != 0) output.line("         {} writes that were never flushed are left out", log.left_out);
    }
    if (!info.suspended_in.empty())
      output.line("  its machine is suspended: `tintype resume {}`", info.suspended_in.string());
    for (const auto& log : info.void_logs) {
      void_logs.push_back(path_to_json(log));
      output.line("  {} is void and will be deleted", log.string());
    }
    output.result({{"image", path_to_json(info.image)},
                   {"bytes", info.bytes},
                   {"allocated_bytes", info.allocated_bytes},
                   {"uncommitted", info.has_uncommitted()},
                   {"suspended", !info.suspended_in.empty()},
                   {"logs", list},
                   {"void_logs", void_logs}});
    return 0;
  }

  int commit(Output& output) { return end_of_logs(commit_image(image_, logs()), "are in the image now", output); }
  int discard(Output& output) { return end_of_logs(discard_image(image_, logs()), "were thrown away", output); }
  int end_of_logs(std::uint64_t bytes, std::string_view what, Output& output) {
    output.result({{"image", path_to_json(image_)}, {"bytes", bytes}});
    if (bytes == 0) {
      output.line("{} had no updates in redo logs.", image_.string());
    } else {
      output.line("{} of updates of {} {}.", format_size(bytes), image_.string(), what);
    }
    return 0;
  }

  int check_disk(Output& output) {
    const auto defects = check_image(image_, logs(), repair_);
    json list = json::array();
    std::size_t left = 0;
    for (const ImageDefect& defect : defects) {
      list.push_back({{"file", path_to_json(defect.file)}, {"what", defect.what}, {"mended", defect.mended}});
      output.line("{}: {}{}", defect.file.string(), defect.what, defect.mended ? " (mended)" : "");
      if (!defect.mended) ++left;
    }
    output.result({{"image", path_to_json(image_)}, {"good", left == 0}, {"defects", list}});
    if (left != 0) {
      output.error(fmt::format("The disk image {} has {}", image_.string(), counted(left, "defect")));
      return 1;
    }
    if (defects.empty()) output.line("{} and its redo logs are whole.", image_.string());
    return 0;
  }

  int export_image(Output& output) {
    if (!out_) throw UsageError("say where to export to: `tintype disk export FILE OUT`");
    const auto format = format_ ? chosen_value<ImageFormat>(*format_, "--format") : ImageFormat::kRaw;
    const auto destination = replaceable_name(absolute_path(*out_, "OUT"));
    check_may_be_replaced(destination);
    if (is_same_file(destination, image_))
      throw Error("{} is the image itself: name another file", destination.string());
    std::unique_ptr<DiskImageFile> file;
    std::uint64_t data_bytes = 0;
    const std::uint64_t uncommitted = read_image(
        image_, logs(),
        [&](std::uint64_t bytes) { file = std::make_unique<DiskImageFile>(destination, bytes, format); },
        [&](std::uint64_t offset, std::span<const std::byte> data) {
          data_bytes += data.size();
          file->write(offset, data);
        });
    const std::uint64_t file_bytes = file->replace();
    output.result({{"image", path_to_json(image_)},
                   {"file", path_to_json(destination)},
                   {"format", name_of(format)},
                   {"bytes", file_bytes},
                   {"disk_bytes", file->size()},
                   {"data_bytes", data_bytes},
                   {"uncommitted_bytes", uncommitted}});
    output.line("{}: a disk of {}, {} of it data, as {}", destination.string(), format_size(file->size()),
                format_size(data_bytes), name_of(format));
    if (uncommitted > 0) {
      output.line("It has {} of updates that wait in redo logs and are not in {} itself (`tintype disk commit {}`).",
                  format_size(uncommitted), image_.string(), image_.string());
    }
    return 0;
  }

  std::string action_, file_;
  std::optional<std::string> out_, format_;
  std::optional<std::filesystem::path> log_directory_;
  bool repair_ = false;
  std::filesystem::path image_;
};

}  // namespace

std::unique_ptr<Verb> make_disk_verb() { return std::make_unique<DiskVerb>(); }

}  // namespace tintype
