# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Counts test cases for tools/test. Sourced after common.sh.

total_passed=0 total_failed=0 total_skipped=0
failed_labels=() suite_times=()

# report WORD LABEL TEXT: a line; what failed is said once more at the end, where nobody has to search for it.
report() {
  printf '%-6s %-28s %s\n' "$1" "$2" "$3"
  [[ $1 != FAILED ]] || failed_labels+=("$2: $3")
}

# note_time SUITE SECONDS
note_time() { suite_times+=("$1 $2"); }

pass_case() {
  total_passed=$((total_passed + 1))
  report ok "$1" "${2:-}"
}

# fail_case LABEL WHY [LOG]: counts a failure, and shows how the log ends.
fail_case() {
  total_failed=$((total_failed + 1))
  report FAILED "$1" "$2"
  [[ -z ${3:-} ]] || show_log "$3"
}

skip_case() {
  total_skipped=$((total_skipped + 1))
  report skip "$1" "$2"
}

show_log() {
  tail -n 40 "$1" | sed 's/^/       | /'
  printf '       the whole log: %s\n' "$1"
}

# last_life LOG: what it says since the rig started again, if it did (tools/rig); what a rig said that died counts for
# nothing, neither for the test nor against it.
last_life() { awk '/^rig: starting again/ { text = ""; next } { text = text $0 "\n" } END { printf "%s", text }' "$1"; }

# count_doctest LABEL EXIT-CODE LOG TIME-LIMIT SECONDS: adds up what a doctest program's last lines say.
count_doctest() {
  local label=$1 code=$2 log=$3 limit=$4 seconds=$5 ran passed failed skipped
  # [doctest] test cases:  9 |  9 passed | 0 failed | 2 skipped
  read -r ran passed failed skipped < <(sed -n 's/\x1b\[[0-9;]*m//g; s/^\[doctest\] test cases: *\([0-9]*\) *| *\([0-9]*\) passed *| *\([0-9]*\) failed *| *\([0-9]*\) skipped.*/\1 \2 \3 \4/p' "$log" | tail -n 1) || true
  if [[ -z ${ran:-} ]]; then
    if ((code == 124 || code == 137)); then
      fail_case "$label" "was cut off after $limit seconds" "$log"
    else
      fail_case "$label" "ended with code $code before its summary" "$log"
    fi
    return
  fi
  # doctest calls both passed: "skip NAME: why" of a case that cannot run on this machine, and "empty NAME: ..." of one
  # that checked nothing. tests/support/main.cpp prints them, each at most once a case, none for a case that failed.
  local gave_up empty
  gave_up=$(grep -ac '^skip ' "$log" || true)
  empty=$(grep -ac '^empty ' "$log" || true)
  passed=$((passed - gave_up - empty)) skipped=$((skipped + gave_up)) failed=$((failed + empty))
  total_passed=$((total_passed + passed))
  total_failed=$((total_failed + failed))
  total_skipped=$((total_skipped + skipped))
  if ((failed > 0)); then
    report FAILED "$label" "$passed passed, $failed failed, ${seconds} s"
    show_log "$log"
  elif ((code != 0)); then
    fail_case "$label" "$passed passed, yet it ended with code $code" "$log"
  elif ((ran == 0)); then
    fail_case "$label" "ran no test case at all" "$log"
  else
    report ok "$label" "$passed passed$( ((skipped == 0)) || printf ', %d skipped' "$skipped"), ${seconds} s"
    sed -n 's/^skip /       skipped: /p' "$log"
  fi
}

# count_lines LABEL EXIT-CODE LOG TIME-LIMIT SECONDS: adds up "ok", "not ok" and "skip" lines.
count_lines() {
  local label=$1 code=$2 log=$3 limit=$4 seconds=$5 passed failed skipped
  local counted
  counted=$(last_life "$log")
  passed=$(grep -ac '^ok ' <<<"$counted" || true)
  failed=$(grep -ac '^not ok ' <<<"$counted" || true)
  skipped=$(grep -ac '^skip ' <<<"$counted" || true)
  total_passed=$((total_passed + passed))
  total_failed=$((total_failed + failed))
  total_skipped=$((total_skipped + skipped))
  if ((failed > 0)); then
    report FAILED "$label" "$passed passed, $failed failed, ${seconds} s"
    grep -a '^not ok ' <<<"$counted" | sed 's/^/       /'
    show_log "$log"
  elif ((code == 124 || code == 137)); then
    fail_case "$label" "was cut off after $limit seconds" "$log"
  elif ((code != 0)); then
    fail_case "$label" "ended with code $code" "$log"
  elif ((passed + skipped == 0)); then
    fail_case "$label" "ran no test case at all" "$log"
  else
    report ok "$label" "$passed passed, ${seconds} s"
    sed -n 's/^skip /       skipped: /p; s/^rig: \(the rig.s own kernel died\|starting again\)/       rig: \1/p' "$log"
  fi
}

# finish_tally: what took how long, what failed, and the last line; exit code of the script.
finish_tally() {
  printf 'seconds: %s\n' "$(printf '%s, ' "${suite_times[@]}")"
  if ((${#failed_labels[@]})); then printf 'FAILED %s\n' "${failed_labels[@]}"; fi
  printf '%d passed, %d failed%s\n' "$total_passed" "$total_failed" \
    "$( ((total_skipped == 0)) || printf ', %d skipped' "$total_skipped")"
  if ((total_failed > 0)); then exit 1; fi
  if ((total_passed == 0)); then
    say "nothing ran: that is a failure"
    exit 1
  fi
}
