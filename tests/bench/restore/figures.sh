# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# How figures are told: a line of the table and one of JSON each ($figures), and a plot of them. Sourced by restore.sh.

# figure NAME VALUE UNIT WHAT [most|least LIMIT]: a line of the table, and one of the JSON.
figure() {
  jq -nc --arg name "$1" --argjson value "$2" --arg unit "$3" '{name: $name, value: $value, unit: $unit}' >>"$figures"
  awk -v what="$4" -v value="$2" -v unit="$3" -v side="${5:-}" -v limit="${6:-0}" 'BEGIN {
    printf "%-68s %9.2f %-4s", what, value, unit
    if (side != "") printf " (goal: at %s %g) %s", side, limit,
      (side == "least" ? value >= limit : value <= limit) ? "met" : "MISSED"
    print "" }'
}
ratio() { awk -v a="$1" -v b="$2" 'BEGIN { print (b > 0 ? a / b : 0) }'; }
ms() { awk -v us="$1" 'BEGIN { print us / 1000 }'; }

# by_size BLOCK NAME: the figures NAME_MIB as a data block of gnuplot's, in GiB and ms; one without a point where there
# are none, for the script names it all the same.
by_size() {
  local rows
  rows=$(jq -r --arg name "$2_" 'select(.name | startswith($name)) |
    "\((.name | ltrimstr($name) | tonumber) / 1024) \(.value)"' "$figures")
  printf '$%s << END\n%s\nEND\n' "$1" "${rows:-NaN NaN}"
}
# draw_plot SCRIPTS SVG: how it looks is in SCRIPTS/restore.gp.
draw_plot() {
  grep -q _first_line_ "$figures" || { say 'no size was measured: there is nothing to draw' && return; }
  {
    printf "load '%s/svg.gp'\nset output '%s'\n" "$1" "$2"
    by_size lazy1 lazy_first_line_1cpu
    by_size lazy2 lazy_first_line_2cpu
    by_size incoming qemu_incoming
    by_size loadvm qemu_loadvm
    printf "load '%s/restore.gp'\n" "$1"
  } | gnuplot || die "gnuplot could not draw $2"
}
