# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the scripts in tests/bench share: times, and waits that end. Sourced after common.sh.

now_us() { echo "${EPOCHREALTIME/./}"; }
median() { sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
# until_true COMMAND...: two minutes at most, or $until_true_seconds.
until_true() {
  local end=$((SECONDS + ${until_true_seconds:-120}))
  until "$@" 2>/dev/null; do ((SECONDS < end)) || die "this took too long: $*"; sleep 0.005; done
}
