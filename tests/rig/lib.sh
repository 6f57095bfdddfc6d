# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# For tests that run inside the rig: a line a case, waits that end, processes that do not outlive the test. Sourced.

failures=0

ok() { printf 'ok %s\n' "$1"; }

not_ok() {
  printf 'not ok %s: %s\n' "$1" "$2"
  failures=$((failures + 1))
}

# check NAME COMMAND...: one case, which is whether the command succeeds; otherwise its output is the reason.
check() {
  local name=$1 output code=0
  shift
  output=$("$@" 2>&1) || code=$?
  if ((code == 0)); then ok "$name"; else not_ok "$name" "${output:-$* ended with $code}"; fi
  return "$code"
}

# wait_for FILE PATTERN SECONDS: until a line of the file matches. Fails early when the process $watched is gone.
wait_for() {
  local file=$1 pattern=$2 limit=$3 started=$SECONDS
  until grep -aqE "$pattern" "$file" 2>/dev/null; do
    if grep -aq '^BROKEN' "$file" 2>/dev/null; then
      echo "the guest says: $(grep -am1 '^BROKEN' "$file")"
      return 1
    fi
    if [[ -n ${watched:-} ]] && ! kill -0 "$watched" 2>/dev/null; then
      grep -aqE "$pattern" "$file" && return 0
      echo "the machine ended before '$pattern' came"
      return 1
    fi
    if ((SECONDS - started >= limit)); then
      echo "no '$pattern' within $limit seconds"
      return 1
    fi
    sleep 0.1
  done
}

# wait_gone PID SECONDS: sets `exit_code`; fails when the process has not ended in time.
wait_gone() {
  local pid=$1 limit=$2 started=$SECONDS
  while kill -0 "$pid" 2>/dev/null; do
    if ((SECONDS - started >= limit)); then
      echo "still running after $limit seconds"
      return 1
    fi
    sleep 0.1
  done
  exit_code=0
  wait "$pid" || exit_code=$?
}

# show_end TITLE FILE...: the last lines of each file, for whoever has to find out what went wrong.
show_end() {
  local title=$1 file
  shift
  for file in "$@"; do
    [[ -s $file ]] || continue
    printf -- '--- %s, the end of %s:\n' "$title" "${file##*/}"
    tail -n 25 "$file" | tr -d '\r'
  done
}
