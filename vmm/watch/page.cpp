// SPDX-License-Identifier: Apache-2.0
#include "vmm/watch/page.h"

#include "vmm/base/printable.h"

namespace tintype {

namespace {

constexpr const char* kHead = R"(<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>tintype watch</title><link rel="icon" href="data:,">
<style nonce="@NONCE@">
:root { color-scheme: light dark; --soft: #8882; --ink: #b4552d; --bad: #a22; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 75rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; margin-bottom: 0; } h2 { font-size: 1.1rem; margin-top: 2rem; }
.dim { color: #888; font-size: .85rem; } .bad { color: var(--bad); }
button { font: inherit; padding: .2rem .9rem; margin-right: .4rem; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .15rem .5rem; border-bottom: 1px solid var(--soft); white-space: nowrap; }
th:first-child, td:first-child { text-align: left; } td.wide { width: 50%; padding: 0; }
svg { display: block; width: 100%; height: 28px; } polyline { fill: none; stroke: var(--ink); stroke-width: 1.5; }
.strip { display: flex; gap: .6rem; overflow-x: auto; padding: .6rem; background: #222; border-radius: 4px;
  min-height: 6.5rem; }
.frame { flex: 0 0 9rem; background: #f4efe6; color: #222; padding: .5rem; border-radius: 2px; font-size: .8rem;
  border-top: 6px dotted #222; border-bottom: 6px dotted #222; }
.frame b { font-size: 1.1rem; }
#log { max-height: 16rem; overflow-y: auto; font-family: ui-monospace, monospace; font-size: .85rem; }
</style></head><body>
)";

constexpr const char* kBody = R"(
<p><span id="state">...</span> <span class="dim" id="more"></span></p>
<p id="buttons"></p><p id="said" aria-live="polite"></p>
<table><thead><tr><th>a second</th><th>now</th><th>in all</th><th></th></tr></thead><tbody id="rates"></tbody></table>
<h2>Checkpoints</h2><div class="strip" id="strip"></div>
<h2>What happened</h2><div id="log"></div>
<script nonce="@NONCE@">
"use strict";
const by = id => document.getElementById(id);
const make = (tag, text, cls) => {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (cls) made.className = cls;
  return made;
};
const short = n => {
  let unit = 0;
  for (; n >= 9999.5 && unit < 4; ++unit) n /= 1000;
  return (unit ? n.toFixed(1) : Math.round(n)) + ["", "k", "M", "G", "T"][unit];
};
const size = bytes => {
  let unit = 0;
  for (; bytes >= 1024 && unit < 4; ++unit) bytes /= 1024;
  return (unit && !Number.isInteger(bytes) ? bytes.toFixed(1) : Math.round(bytes)) +
    [" B", " KiB", " MiB", " GiB", " TiB"][unit];
};
const written = (name, n) => n === null ? "-" : name.startsWith("bytes") ? size(n) : short(n);
const sum = (status, key) => status.disks.reduce((all, disk) => all + disk[key], 0);
const rows = [["exits", s => s.exits], ["interrupts", s => s.interrupts], ["page_faults", s => s.page_faults],
  ["dirty_pages", () => null],
  ["reads", s => sum(s, "reads")], ["bytes_read", s => sum(s, "bytes_read")],
  ["writes", s => sum(s, "writes")], ["bytes_written", s => sum(s, "bytes_written")]];
const kPoints = 120, past = {}, cells = {};
for (const [name] of rows) {
  past[name] = [];
  const row = make("tr"), drawing = make("td", undefined, "wide");
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const line = document.createElementNS("http://www.w3.org/2000/svg", "polyline");
  svg.setAttribute("viewBox", "0 0 " + (kPoints - 1) + " 28");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.append(line);
  drawing.append(svg);
  cells[name] = {now: make("td"), all: make("td"), line};
  row.append(make("td", name.replace("_", " ")), cells[name].now, cells[name].all, drawing);
  by("rates").append(row);
}
const buttons = {};
for (const name of ["checkpoint", "pause", "continue", "mark", "reset"]) {
  const button = buttons[name] = make("button", name);
  button.id = name;
  button.addEventListener("click", async () => {
    by("said").className = "dim";
    by("said").textContent = name + " ...";
    try {
      const answer = await fetch(name, {method: "POST"});
      if (!answer.ok) throw new Error(await answer.text());
    } catch (error) { say(false, name + ": " + error.message); }
  });
  by("buttons").append(button);
}
const noCheckpoint = document.body.dataset.noCheckpoint;
const say = (good, text) => {
  by("said").className = good ? "" : "bad";
  by("said").textContent = text;
};
const enable = state => {
  const lives = state === "running" || state === "paused";
  buttons.checkpoint.disabled = !lives || noCheckpoint !== "";
  buttons.checkpoint.title = noCheckpoint;
  buttons.pause.disabled = state !== "running";
  buttons.continue.disabled = state !== "paused";
  buttons.mark.disabled = buttons.reset.disabled = !lives;
};
const feed = new EventSource("feed");
feed.addEventListener("sample", message => {
  const {status, per_second} = JSON.parse(message.data);
  by("state").textContent = status.state + (status.checkpoint_running ? ", a checkpoint is being taken" : "") +
    (status.stands_still ? ": " + status.stands_still : "");
  by("more").textContent = Math.round(status.uptime_ms / 1000) + " s, process " + status.pid + ", " +
    size(status.memory) + " memory, " + status.cpus + (status.cpus === 1 ? " CPU" : " CPUs") +
    status.disks.filter(disk => disk.problem).map(disk => "; " + disk.id + ": " + disk.problem).join("");
  enable(status.state);
  for (const [name, all] of rows) {
    const points = past[name];
    points.push(per_second[name] ?? 0);
    if (points.length > kPoints) points.shift();
    const top = Math.max(...points, 1);
    cells[name].now.textContent = written(name, per_second[name]);
    cells[name].all.textContent = written(name, all(status));
    cells[name].line.setAttribute("points",
      points.map((value, i) => i + "," + (27 - 26 * value / top).toFixed(2)).join(" "));
  }
});
let newest = 0;
feed.addEventListener("event", message => {
  const event = JSON.parse(message.data);
  if (event.number <= newest) return;
  newest = event.number;
  let text = event.time.slice(11, 19) + "  " + event.event + (event.reason ? ": " + event.reason : "");
  if (event.checkpoint) {
    const {id, strategy, pause_us, memory} = event.checkpoint;
    text += " " + id + " to " + event.checkpoint.repository;
    const frame = make("div", undefined, "frame");
    frame.dataset.id = id;
    frame.append(make("b", id), " " + event.time.slice(11, 19));
    const lines = [strategy, "pause " + (pause_us.total / 1000).toFixed(3) + " ms",
      short(memory.pages_written) + " pages", size(memory.bytes_written), short(memory.faults) + " faults"];
    for (const line of lines) frame.append(make("div", line));
    by("strip").append(frame);
    by("strip").scrollLeft = by("strip").scrollWidth;
  }
  by("log").prepend(make("div", text));
});
feed.addEventListener("said", message => {
  const {good, text} = JSON.parse(message.data);
  say(good, text);
});
feed.addEventListener("end", message => {
  feed.close();
  enable("ended");
  by("state").textContent = JSON.parse(message.data).text;
});
feed.onerror = () => {
  if (feed.readyState === EventSource.CLOSED) return;
  by("state").textContent = "not connected";
  enable("gone");
};
</script></body></html>
)";

}  // namespace

std::string watch_page(const std::string& machine, const std::string& no_checkpoint) {
  std::string page = kHead;
  page.replace(page.rfind("<body>"), 6, "<body data-no-checkpoint=\"" + html_text(no_checkpoint) + "\">");
  return page + "<h1>" + html_text(machine) + "</h1>" + kBody;
}

}  // namespace tintype
