// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <filesystem>
#include <optional>
#include <span>

#include <nlohmann/json.hpp>

#include "checkpoint/store/checkpoint_reader.h"
#include "checkpoint/store/diff.h"
#include "vmm/base/error.h"
#include "vmm/cli/output.h"
#include "vmm/cli/values.h"
#include "vmm/cli/verb.h"
#include "vmm/cli/verb_options.h"
#include "vmm/control/status_json.h"
#include "vmm/machine/inspector.h"
#include "vmm/machine/symbols.h"
#include "vmm/machine/vmcoreinfo.h"

namespace tintype {

using nlohmann::json;

namespace {

constexpr std::size_t kCells = 64, kRangesShown = 16, kNamesShown = 4;

/// A run of blocks where the guest sees it: physical addresses for memory, bytes from the start for a disk.
struct Range {
  std::uint64_t start = 0, bytes = 0;
  std::vector<std::string> symbols;  ///< of the kernel, that lie there; of memory, where they are known
};

std::vector<Range> ranges_on_disk(const PartDiff& part) {
  std::vector<Range> ranges;
  for (const ChangedRun& run : part.runs) ranges.push_back({run.first_block * kBlockSize, run.blocks * kBlockSize, {}});
  return ranges;
}

/// Where a run goes on from one region of memory into the next, there is a hole for the guest.
std::vector<Range> ranges_in_memory(const PartDiff& part, const std::vector<RegionDescription>& regions) {
  std::vector<Range> ranges;
  for (const ChangedRun& run : part.runs) {
    for (const RegionDescription& region : regions) {
      const std::uint64_t first = std::max(run.first_block, region.first_block);
      const std::uint64_t end = std::min(run.first_block + run.blocks, region.first_block + region.size / kBlockSize);
      if (first < end)
        ranges.push_back({region.start + (first - region.first_block) * kBlockSize, (end - first) * kBlockSize, {}});
    }
  }
  return ranges;
}

/// The part from its beginning to its end; the darker a cell, the more of it changed.
std::string heat_bar(const PartDiff& part) {
  constexpr std::string_view kShades = " .:-=+*#%@";
  std::vector<std::uint64_t> changed(kCells);
  const std::uint64_t each = std::max<std::uint64_t>((part.blocks + kCells - 1) / kCells, 1);
  for (const ChangedRun& run : part.runs)
    for (std::uint64_t block = run.first_block; block < run.first_block + run.blocks; ++block) ++changed[block / each];
  std::string bar;
  for (const std::uint64_t count : changed)
    bar += kShades[count == 0 ? 0 : std::clamp<std::size_t>(count * kShades.size() / each, 1, kShades.size() - 1)];
  return bar;
}

json part_json(const PartDiff& part, const std::vector<Range>& ranges, const char* start) {
  json list = json::array();
  for (const Range& range : ranges) {
    list.push_back({{start, range.start}, {"bytes", range.bytes}});
    if (!range.symbols.empty()) list.back()["symbols"] = range.symbols;
  }
  return {{"blocks_total", part.blocks}, {"blocks_changed", part.changed}, {"ranges", list}};
}

/// "  counter, table and 12 more"
std::string symbols_text(const Range& range) {
  const std::span shown = std::span(range.symbols).first(std::min(range.symbols.size(), kNamesShown));
  const std::size_t more = range.symbols.size() - shown.size();
  return shown.empty()
             ? ""
             : fmt::format("  {}{}", fmt::join(shown, ", "), more == 0 ? "" : fmt::format(" and {} more", more));
}

void print_part(const PartDiff& part, const std::vector<Range>& ranges, Output& output) {
  output.line("{:<8} {} of {} pages changed, {} in {}", part.name, part.changed, part.blocks,
              format_size(part.changed * kBlockSize), counted(ranges.size(), "place"));
  if (part.changed == 0) return;
  output.line("         [{}]", heat_bar(part));
  for (const Range& range : std::span(ranges).first(std::min(ranges.size(), kRangesShown)))
    output.line("         {:#014x} to {:#014x}  {:>10}{}", range.start, range.start + range.bytes - 1,
                format_size(range.bytes), symbols_text(range));
  if (ranges.size() > kRangesShown) output.line("         and {} more: --json has all", ranges.size() - kRangesShown);
}

class DiffVerb final : public Verb {
 public:
  void declare(VerbOptions& options) override {
    options.repository(repository_);
    options.positional("A", a_, "A checkpoint's id");
    options.positional("B", b_, "Another one's id");
    options.path("--symbols", "FILE", symbols_,
                 "The kernel with its symbols (vmlinux, or NAME.elf64 of a test kernel): names what differs");
  }

  int run(Output& output) override {
    const CheckpointDiff diff =
        diff_checkpoints(repository_, parse_number(a_, "A"), parse_number(b_, "B"), output.progress());
    output.end_progress();
    auto memory = ranges_in_memory(diff.memory, diff.a.machine.regions);
    if (symbols_) name_all(memory, diff.b.id);
    output.line("from checkpoint {} ({}) to {} ({})", diff.a.id, diff.a.time, diff.b.id, diff.b.time);
    print_part(diff.memory, memory, output);
    json disks = json::array();
    for (const PartDiff& disk : diff.disks) {
      print_part(disk, ranges_on_disk(disk), output);
      disks.push_back(part_json(disk, ranges_on_disk(disk), "offset"));
      disks.back()["id"] = disk.name;
    }
    for (const std::string& disk : diff.unlike)
      output.line("{:<8} only one of them has it, or they are of different sizes", disk);
    output.result({{"repository", path_to_json(repository_)},
                   {"a", diff.a.id},
                   {"b", diff.b.id},
                   {"memory", part_json(diff.memory, memory, "gpa")},
                   {"disks", disks},
                   {"unlike", diff.unlike}});
    return 0;
  }

 private:
  /// A Linux says in its memory where it placed itself.
  void name_all(std::vector<Range>& ranges, std::uint64_t id) const {
    const CheckpointReader checkpoint(repository_, id);
    const SymbolTable symbols(*symbols_, find_vmcoreinfo(checkpoint.memory()), Inspector(checkpoint).memory());
    for (Range& range : ranges) range.symbols = symbols.names_in(range.start, range.bytes);
  }

  std::filesystem::path repository_;
  std::string a_, b_;
  std::optional<std::filesystem::path> symbols_;
};

}  // namespace

std::unique_ptr<Verb> make_diff_verb() { return std::make_unique<DiffVerb>(); }

}  // namespace tintype
