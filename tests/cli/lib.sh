# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2015
# (`A && B || { echo why; return 1; }`: why, wherever it failed.)
# For tests that drive the program from outside: a line a case, a runtime directory of their own, and no machine that
# outlives them. Sourced.

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
build=${TINTYPE_BUILD_DIR:-$root/build}
tintype=$build/tintype
images=$build/guest-images
work=$(mktemp -d) || { echo "not ok ${0##*/}: no temporary directory can be made" && exit 1; }
export TINTYPE_RUNTIME_DIR=$work/run
readonly limit=60  # seconds for any one command: the machine that tests may be slow and shared
failures=0
trap finish EXIT

[[ -x $tintype ]] || { echo "not ok ${0##*/}: there is no $tintype; build it first" && exit 1; }

finish() {
  local pid
  for pid in $(timeout 20 "$tintype" list --json 2>/dev/null | jq -r '.machines[].pid'); do kill -KILL "$pid" \
    2>/dev/null; done
  rm -rf "$work"
}

# check NAME COMMAND...: one case, which is whether the command succeeds; otherwise its output is the reason.
check() {
  local name=$1 output code=0
  shift
  output=$("$@" 2>&1) || code=$?
  if ((code == 0)); then
    printf 'ok %s\n' "$name"
  else
    printf 'not ok %s: %s\n' "$name" "$(tr '\n' ' ' <<<"${output:-$* ended with $code}" | head -c 500)"
    failures=$((failures + 1))
  fi
}

# check_if CONDITION WHY-NOT NAME COMMAND...: the same where the condition, a command, holds; a skipped case elsewhere.
check_if() {
  local condition=$1 why=$2
  shift 2
  if $condition; then check "$@"; else printf 'skip %s: %s\n' "$1" "$why"; fi
}

is_root() { ((EUID == 0)); }
has() { command -v "$1" >/dev/null; }
check_as_root() { check_if is_root 'only root can do that' "$@"; }
# check_with TOOL NAME COMMAND...
check_with() { check_if "has $1" "there is no $1 here" "${@:2}"; }

# tt ARGUMENT...: tintype, under a time limit; what it says goes to $work/out and $work/err.
tt() {
  local code=0
  timeout -k 5 "$limit" "$tintype" "$@" >"$work/out" 2>"$work/err" </dev/null || code=$?
  return "$code"
}

said() { printf 'stdout: %s stderr: %s' "$(head -c 200 "$work/out")" "$(head -c 300 "$work/err")"; }

# works ARGUMENT...: exits with 0 and says nothing on stderr.
works() {
  local code=0
  tt "$@" || code=$?
  ((code == 0)) || { echo "'tintype $*' ended with $code; $(said)"; return 1; }
  [[ ! -s $work/err ]] || { echo "'tintype $*' spoke on stderr; $(said)"; return 1; }
}

# one_object: stdout is one JSON object and nothing else.
one_object() {
  [[ $(jq -s 'length == 1 and (.[0] | type) == "object"' "$work/out" 2>/dev/null) == true ]] ||
    { echo "stdout is not one JSON object; $(said)"; return 1; }
}

# json_works ARGUMENT...: the same with --json: one object.
json_works() { works "$@" --json && one_object; }

# object_has FILTER: a jq filter that is true of the object last printed.
object_has() { one_object && jq -e "$1" "$work/out" >/dev/null ||
  { echo "not true of the object: $1; $(said)"; return 1; }; }

# fails CODE PATTERN ARGUMENT...: exits with the code, says one sentence on stderr that matches, and nothing on stdout;
# with --json the same,
# and on stdout one object that has the sentence too.
fails() {
  local expected=$1 pattern=$2 code=0
  shift 2
  tt "$@" || code=$?
  ((code == expected)) || { echo "'tintype $*' ended with $code, not $expected; $(said)"; return 1; }
  [[ $(wc -l <"$work/err") == 1 ]] || { echo "'tintype $*' does not say one sentence; $(said)"; return 1; }
  grep -qE -- "$pattern" "$work/err" || { echo "'tintype $*' does not say '$pattern'; $(said)"; return 1; }
  [[ ! -s $work/out ]] || { echo "'tintype $*' printed on stdout; $(said)"; return 1; }
  code=0
  tt "$@" --json || code=$?
  ((code == expected)) || { echo "'tintype $* --json' ended with $code, not $expected; $(said)"; return 1; }
  one_object && object_has '.error | type == "string" and length > 0'
}

# until_true SECONDS COMMAND...
until_true() {
  local seconds=$1 started=$SECONDS
  shift
  until "$@" >/dev/null 2>&1; do
    ((SECONDS - started < seconds)) || { echo "not true within $seconds seconds: $*"; return 1; }
    sleep 0.05
  done
}

# pid_of NAME
pid_of() { "$tintype" status "$1" --json | jq .pid; }
state_of() { "$tintype" status "$1" --json 2>/dev/null | jq -r .state; }
is_gone() { ! kill -0 "$1" 2>/dev/null; }

done_testing() { exit $((failures > 0)); }
