// SPDX-License-Identifier: Apache-2.0
#include "vmm/cli/report_page.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <map>

#include <fmt/format.h>

#include "vmm/base/printable.h"
#include "vmm/cli/values.h"

namespace tintype {

namespace {

constexpr const char* kStyle = R"(
:root { color-scheme: light dark; --line: #8886; --soft: #8882; --ink: #b4552d; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 75rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { margin-top: 2.5rem; border-bottom: 1px solid var(--line); }
p.small, figcaption, .dim { color: #888; font-size: .85rem; }
.strip { display: flex; gap: .6rem; overflow-x: auto; padding: .6rem; background: #222; border-radius: 4px; }
.frame { flex: 0 0 9rem; background: #f4efe6; color: #222; padding: .5rem; border-radius: 2px; font-size: .8rem;
  border-top: 6px dotted #222; border-bottom: 6px dotted #222; }
.frame b { font-size: 1.1rem; } .frame.bad { background: #e9b8b0; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .15rem .5rem; border-bottom: 1px solid var(--soft); white-space: nowrap; }
th:first-child, td:first-child { text-align: left; } td.wide { width: 45%; }
svg { display: block; width: 100%; } svg.bar { height: 14px; } figure { margin: 1rem 0; }
.map { border: 1px solid var(--line); background: var(--soft); }
.key span { display: inline-block; margin-right: 1rem; } .key i { display: inline-block; width: .8em; height: .8em;
  margin-right: .3em; }
)";

/// A piece of a bar: what it is, and how much of it.
struct Slice {
  std::string_view name;
  std::uint64_t amount = 0;
};

constexpr std::array kColours = {"#b4552d", "#d9a441", "#6b8e5a", "#4c7a99", "#7d5a8c", "#a8566f", "#5f6b73"};

std::string key_of(std::span<const Slice> slices) {
  std::string text = "<p class=\"key small\">";
  for (std::size_t i = 0; i < slices.size(); ++i)
    text +=
        fmt::format("<span><i style=\"background:{}\"></i>{}</span>", kColours[i % kColours.size()], slices[i].name);
  return text + "</p>";
}

/// Slices side by side; `whole` is as wide as the bar can be.
std::string bar(std::span<const Slice> slices, std::uint64_t whole, std::string_view unit) {
  std::string text = "<svg class=\"bar\" viewBox=\"0 0 1000 14\" preserveAspectRatio=\"none\">";
  double x = 0;
  for (std::size_t i = 0; i < slices.size(); ++i) {
    const double width =
        static_cast<double>(slices[i].amount) * 1000 / static_cast<double>(std::max<std::uint64_t>(whole, 1));
    if (slices[i].amount != 0)
      text +=
          fmt::format("<rect x=\"{:.2f}\" width=\"{:.2f}\" height=\"14\" fill=\"{}\"><title>{}: {} {}</title></rect>",
                      x, width, kColours[i % kColours.size()], slices[i].name, slices[i].amount, unit);
    x += width;
  }
  return text + "</svg>";
}

std::vector<Slice> pause_slices(const CheckpointReport& report) {
  const PauseTimes& pause = report.pause_us;
  return {{"kick", pause.kick},       {"devices", pause.devices}, {"disks", pause.disks}, {"state", pause.state},
          {"protect", pause.protect}, {"resume", pause.resume},   {"copy", pause.copy}};
}

/// How long sealing takes no manifest can say.
std::vector<Slice> time_slices(const CheckpointReport& report) {
  return {{"prepare", report.prepare_ms}, {"pause", report.pause_us.total / 1000}, {"copy", report.copy_ms}};
}

std::uint64_t ms_before_sealing(const CheckpointReport& report) {
  return report.prepare_ms + report.pause_us.total / 1000 + report.copy_ms;
}

/// How much of each cell's blocks changed, from the part's beginning to its end.
std::vector<double> heat(const PartDiff& part, std::size_t cells) {
  std::vector<double> heat(cells);
  const std::uint64_t each = std::max<std::uint64_t>((part.blocks + cells - 1) / cells, 1);
  for (const ChangedRun& run : part.runs) {
    std::uint64_t block = run.first_block;
    for (const std::uint64_t end = run.first_block + run.blocks; block < end;) {
      const std::uint64_t cell = block / each, here = std::min(end, (cell + 1) * each) - block;
      if (cell < cells) heat[cell] += static_cast<double>(here) / static_cast<double>(each);
      block += here;
    }
  }
  return heat;
}

/// A part as a map, row after row; the darker a cell, the more of it changed.
std::string heat_map(const PartDiff& part, std::size_t columns, std::size_t rows) {
  const std::vector<double> cells = heat(part, columns * rows);
  std::string text =
      fmt::format("<svg class=\"map\" viewBox=\"0 0 {} {}\" preserveAspectRatio=\"none\" style=\"height:{}px\">",
                  columns, rows, rows * 8);
  for (std::size_t i = 0; i < cells.size(); ++i) {
    if (cells[i] > 0)
      text += fmt::format("<rect x=\"{}\" y=\"{}\" width=\"1\" height=\"1\" fill=\"var(--ink)\" opacity=\"{:.2f}\"/>",
                          i % columns, i / columns, std::min(1.0, 0.15 + 0.85 * cells[i]));
  }
  return text + "</svg>";
}

/// The checkpoints of one machine, in their order.
using Frames = std::vector<const CheckpointSummary*>;

/// What came of a check of it, where there was one; when, and what was seen, is under the pointer.
std::string check_line(std::string_view check, const std::optional<CheckNote>& note) {
  if (!note) return "";
  return fmt::format("<span title=\"{}: {}\"><br>{}: {}</span>", html_text(note->time), html_text(note->said), check,
                     note->good ? "good" : "BAD");
}

std::string frame(const CheckpointSummary& checkpoint, const CheckpointDiff* diff) {
  if (!checkpoint.manifest) {
    return fmt::format("<div class=\"frame bad\"><b>{}</b><br>{}</div>", checkpoint.id, html_text(checkpoint.problem));
  }
  const Manifest& manifest = *checkpoint.manifest;
  std::string text =
      fmt::format("<div class=\"frame\"><b>{}</b> {}<br>{}<br>{}<br>pause {}", checkpoint.id,
                  manifest.parent == 0 ? "full" : fmt::format("on {}", manifest.parent), html_text(manifest.time),
                  format_size(checkpoint.bytes), format_microseconds(manifest.report.pause_us.total));
  text += check_line("verified", checkpoint.checks.verified) + check_line("drill", checkpoint.checks.drilled);
  if (diff != nullptr) text += heat_map(diff->memory, 32, 3);
  return text + "</div>";
}

class Page {
 public:
  explicit Page(const RepositoryFilm& film) : film_(film) {
    for (const CheckpointSummary& checkpoint : film.checkpoints) {
      if (checkpoint.manifest) machines_[checkpoint.manifest->vm].push_back(&checkpoint);
    }
  }

  std::string text() {
    add("<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Tintype: "
        "{}</title><style>{}</style></head>"
        "<body>",
        html_text(film_.repository), kStyle);
    add_head();
    for (const auto& [name, frames] : machines_) add_machine(name, frames);
    add_damaged();
    add("</body></html>\n");
    return std::move(page_);
  }

 private:
  template <typename... Args>
  void add(fmt::format_string<Args...> format, Args&&... args) {
    fmt::format_to(std::back_inserter(page_), format, std::forward<Args>(args)...);
  }

  void add_head() {
    std::uint64_t bytes = 0;
    for (const CheckpointSummary& checkpoint : film_.checkpoints) bytes += checkpoint.bytes;
    add("<h1>{}</h1><p>{} of {}, {}. Made {}.</p>", html_text(film_.repository),
        counted(film_.checkpoints.size(), "checkpoint"), counted(machines_.size(), "machine"), format_size(bytes),
        html_text(film_.made));
    if (film_.verification) add_verification(*film_.verification);
    for (const std::string& note : film_.notes) add("<p class=\"small\">{}</p>", html_text(note));
  }

  void add_verification(const Verification& verification) {
    if (verification.good()) {
      add("<p>Verified: every one of {} is as it was written.</p>", format_size(verification.bytes));
      return;
    }
    add("<p><b>Damaged:</b></p><ul>");
    for (const Damage& damage : verification.damages)
      add("<li>checkpoint {}, {}: {}</li>", damage.id, html_text(damage.part), html_text(damage.reason));
    add("</ul>");
  }

  void add_machine(const std::string& name, const Frames& frames) {
    const MachineDescription& machine = frames.back()->manifest->machine;
    add("<h2>{}</h2><p>{} of memory, {}; {} <code>{}</code></p>", html_text(name), format_size(machine.memory),
        counted(machine.cpus, "CPU"), html_text(machine.kernel.string()), html_text(machine.append));
    add("<div class=\"strip\">");
    for (const CheckpointSummary* checkpoint : frames) add("{}", frame(*checkpoint, diff_to(checkpoint->id)));
    add("</div>");
    add_pauses(frames);
    add_times(frames);
    add_memory(frames);
    add_disks(frames);
    add_diffs(name);
  }

  /// What changed since its neighbour before it; null where that is not known.
  const CheckpointDiff* diff_to(std::uint64_t id) const {
    const auto found = std::ranges::find(film_.diffs, id, [](const CheckpointDiff& diff) { return diff.b.id; });
    return found == film_.diffs.end() ? nullptr : &*found;
  }

  template <typename Amount>
  static std::uint64_t most(const Frames& frames, Amount amount) {
    std::uint64_t most = 0;
    for (const CheckpointSummary* checkpoint : frames) most = std::max(most, amount(checkpoint->manifest->report));
    return most;
  }

  void add_pauses(const Frames& frames) {
    const std::uint64_t longest = most(frames, [](const CheckpointReport& report) { return report.pause_us.total; });
    add("<h3>The pause</h3>{}<table><tr><th>checkpoint</th><th>strategy</th><th>pause</th><th></th></tr>",
        key_of(pause_slices({})));
    for (const CheckpointSummary* checkpoint : frames) {
      const CheckpointReport& report = checkpoint->manifest->report;
      add("<tr><td>{}</td><td>{}</td><td>{}</td><td class=\"wide\">{}</td></tr>", checkpoint->id,
          name_of(report.strategy), format_microseconds(report.pause_us.total),
          bar(pause_slices(report), longest, "µs"));
    }
    add("</table>");
  }

  void add_times(const Frames& frames) {
    const std::uint64_t longest = most(frames, ms_before_sealing);
    add("<h3>Until it was sealed</h3>{}<table><tr><th>checkpoint</th><th>ms</th><th></th></tr>",
        key_of(time_slices({})));
    for (const CheckpointSummary* checkpoint : frames) {
      const CheckpointReport& report = checkpoint->manifest->report;
      add("<tr><td>{}</td><td>{}</td><td class=\"wide\">{}</td></tr>", checkpoint->id, ms_before_sealing(report),
          bar(time_slices(report), longest, "ms"));
    }
    add("</table>");
  }

  void add_memory(const Frames& frames) {
    add("<h3>Memory, and the faults while it was copied</h3><table><tr><th>checkpoint</th><th>pages written</th>"
        "<th>zero</th><th>written</th><th>faults</th><th>half within</th><th>99% within</th><th>longest</th>"
        "<th>capture area</th><th>waits</th></tr>");
    for (const CheckpointSummary* checkpoint : frames) {
      const MemoryReport& memory = checkpoint->manifest->report.memory;
      add("<tr><td>{}</td><td>{} of "
          "{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td>"
          "<td>{}</td></tr>",
          checkpoint->id, memory.pages_written, memory.pages_total, memory.pages_zero,
          format_size(memory.bytes_written), memory.faults, format_microseconds(memory.fault_us.p50),
          format_microseconds(memory.fault_us.p99), format_microseconds(memory.fault_us.max),
          format_size(memory.capture_area_peak_bytes), memory.capture_area_waits);
    }
    add("</table>");
  }

  void add_disks(const Frames& frames) {
    const MachineDescription& machine = frames.back()->manifest->machine;
    if (machine.disks.empty()) return;
    add("<h3>Disks</h3><table><tr><th>disk</th><th>image</th><th>size</th><th>mode</th>");
    for (const CheckpointSummary* checkpoint : frames) add("<th>written, {}</th>", checkpoint->id);
    add("</tr>");
    for (const DiskDescription& disk : machine.disks) {
      add("<tr><td>{}</td><td>{}</td><td>{}</td><td>{}{}</td>", html_text(disk.id), html_text(disk.image.string()),
          format_size(disk.size), html_text(disk.mode), disk.read_only ? ", read-only" : "");
      for (const CheckpointSummary* checkpoint : frames) add("<td>{}</td>", written_to(*checkpoint, disk.id));
      add("</tr>");
    }
    add("</table>");
  }

  static std::string written_to(const CheckpointSummary& checkpoint, const std::string& disk) {
    for (const DiskReport& report : checkpoint.manifest->report.disks)
      if (report.id == disk) return format_size(report.bytes_written);
    return "";
  }

  void add_diffs(const std::string& name) {
    for (const CheckpointDiff& diff : film_.diffs) {
      if (diff.b.vm != name) continue;
      add("<h3>From {} to {}</h3>", diff.a.id, diff.b.id);
      add_map(diff.memory, 128, 16);
      for (const PartDiff& disk : diff.disks) add_map(disk, 128, 2);
      for (const std::string& disk : diff.unlike)
        add("<p class=\"small\">{}: only one of them has it, or they are of different sizes.</p>", html_text(disk));
    }
  }

  void add_map(const PartDiff& part, std::size_t columns, std::size_t rows) {
    add("<figure>{}<figcaption>{}: {} of {} pages changed, {} in {} places</figcaption></figure>",
        heat_map(part, columns, rows), html_text(part.name), part.changed, part.blocks,
        format_size(part.changed * kBlockSize), part.runs.size());
  }

  void add_damaged() {
    const auto damaged = [](const CheckpointSummary& checkpoint) { return !checkpoint.manifest; };
    if (std::ranges::none_of(film_.checkpoints, damaged)) return;
    add("<h2>Cannot be read</h2><div class=\"strip\">");
    for (const CheckpointSummary& checkpoint : film_.checkpoints)
      if (damaged(checkpoint)) add("{}", frame(checkpoint, nullptr));
    add("</div>");
  }

  const RepositoryFilm& film_;
  std::map<std::string, Frames> machines_;
  std::string page_;
};

}  // namespace

std::string report_page(const RepositoryFilm& film) { return Page(film).text(); }

}  // namespace tintype
