#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The three programs: how long a standby takes to run the machine, whether it keeps up with twenty checkpoints a second,
# what a backup writes after the machine's process was killed, and how quick an object store is used (Ceph, on loopback:
# as root, after `tools/setup stores`). README.md says what each figure is.
# usage: tools/bench programs [--rounds N] [--to DIR] [--only takeover|rate|backup|store]
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../../tools/lib/common.sh"
# shellcheck source=tools/lib/bench.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../tools/lib/bench.sh"
# shellcheck source=tests/stores/requests.sh
source "$(dirname "${BASH_SOURCE[0]}")/../stores/requests.sh"
# shellcheck source=tests/stores/ceph.sh
source "$(dirname "${BASH_SOURCE[0]}")/../stores/ceph.sh"

rounds=5 to=. only='' standby=''
while (($#)); do
  case $1 in
    --rounds) rounds=$2 && shift 2 ;;
    --to) to=$2 && shift 2 ;;
    --only) only=$2 && shift 2 ;;
    *) usage_error "tools/bench programs knows --rounds N, --to DIR and --only PART, and no $1" ;;
  esac
done

build=${TINTYPE_BUILD_DIR:-$build_dir}
export until_true_seconds=600  # 4 GiB go to a device, encrypted, on a machine that others use
tintype=$build/tintype images=$build/guest-images
work=$(mktemp -d "$(realpath "$to")/tintype-bench-XXXXXX")
export TINTYPE_RUNTIME_DIR=$work/run TMPDIR=$work
port=$((20000 + RANDOM % 20000))
trap finish EXIT

finish() {
  local pid
  for pid in $(timeout 20 "$tintype" list --json 2>/dev/null | jq -r '.machines[].pid | select(. > 1)'); do
    kill -KILL "$pid" 2>/dev/null || true
  done
  ((${#ceph_pids[@]} == 0)) || ceph_stop
  rm -rf "$work"
}
# line WHAT VALUE UNIT least|most LIMIT
line() {
  awk -v what="$1" -v value="$2" -v unit="$3" -v side="$4" -v limit="$5" 'BEGIN {
    met = side == "least" ? value >= limit : value <= limit
    printf "%-58s %9.3f %-4s (goal: at %s %g) %s\n", what, value, unit, side, limit, met ? "met" : "MISSED" }'
}

(umask 077 && head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n' >"$work/key")
standby_up() {
  rm -rf "$work/there" "$work/second.log"
  "$tintype" standby --listen "127.0.0.1:$port" --repo "$work/there" --key "$work/key" --name second --disk-dir \
    "$work" --serial "file:$work/second.log" >/dev/null 2>"$work/standby.err" </dev/null &
  standby=$!
  until_true "$tintype" status second >/dev/null
}
received() { (($("$tintype" status second --json | jq .standby.received) >= $1)); }
# All that has come is in the memory of the machine that waits.
is_ready() { "$tintype" status second --json | jq -e '.standby | .ready != 0 and .ready == .latest' >/dev/null; }
# The kernel of the first computer has taken its process apart, which takes longer the more memory it had.
is_lost() { "$tintype" status second --json | jq -e '.standby.connected | not' >/dev/null; }
first_up() {  # MIB APPEND...
  local mib=$1
  shift
  "$tintype" run --kernel "$images/hotset.elf" --memory "${mib}M" --name first --detach --serial \
    "file:$work/first.log" --append "$*" >/dev/null
  until_true grep -q WORK "$work/first.log"
}
backed_up() {
  "$tintype" backup first --to "tcp://127.0.0.1:$port" --key "$work/key" --every "$1" >/dev/null
}
end_all() {
  local name
  for name in first second; do "$tintype" stop "$name" --force >/dev/null 2>&1 || true; done
  [[ -z $standby ]] || wait "$standby" || true  # not for all: the object store goes on
  standby=
  rm -f "$work/first.log"
}

# takeover_ms MIB: from the word to promote (the loss is noticed) to the first line of the machine.
takeover_ms() {
  local start
  standby_up
  first_up "$1" "mb=$(($1 - 16)) hot=4 rate=10 interval_ms=2"
  backed_up 200ms
  until_true received 2
  until_true is_ready
  kill -KILL "$("$tintype" status first --json | jq .pid)"
  until_true is_lost
  start=$(now_us)
  "$tintype" promote second >/dev/null
  until_true test -s "$work/second.log"
  echo $((($(now_us) - start) / 1000))
  end_all
}
takeovers() { for ((i = 0; i < rounds; ++i)); do takeover_ms "$1"; done | median; }

measure_takeover() {
  local small large
  small=$(takeovers 256)
  line 'running again after promote, 256 MiB' "$small" ms most 100
  line 'running again after promote, 1 GiB' "$(takeovers 1024)" ms most 100
  large=$(takeovers 4096)
  line 'running again after promote, 4 GiB' "$large" ms most 100
  line '4 GiB, in times of 256 MiB' "$(awk "BEGIN { print $large / ($small + 0.001) }")" '' most 1.3
}

# pages_a_second SECONDS: the guest's own count, over that time from now on.
pages_a_second() {
  local from
  from=$(grep -c WORK "$work/first.log")
  sleep "$1"
  tail -n "+$((from + 1))" "$work/first.log" | sed -n 's/.*t_us=\([0-9]*\) pages=\([0-9]*\) .*/\1 \2/p' |
    awk 'NR == 1 { t = $1; next } { pages += $2; last = $1 } END { print pages * 1e6 / (last - t) }'
}
measure_rate() {
  local alone beside before after
  standby_up
  first_up 1024 'mb=512 hot=4 rate=20'
  alone=$(pages_a_second 5)
  backed_up 50ms
  until_true received 20  # the whole memory went first
  before=$("$tintype" status second --json | jq .standby.received)
  beside=$(pages_a_second 10)
  after=$("$tintype" status second --json | jq .standby.received)
  end_all
  line 'checkpoints a second to a standby, 4 MiB between' "$(awk "BEGIN { print ($after - $before) / 10 }")" '' least 19
  line "the guest's speed meanwhile, of that alone" "$(awk "BEGIN { print $beside / $alone }")" '' least 0.9
}

again() { "$tintype" backup first --status --json | jq -e '.backups[0].taken >= 1' >/dev/null; }
measure_backup() {
  local bytes
  for _ in first second; do
    first_up 1024 'mb=960 hot=0'
    "$tintype" backup first --to "$work/repo" --every 1h >/dev/null
    until_true again
    kill -KILL "$("$tintype" status first --json | jq .pid)"
    sleep 1
    rm -f "$work/first.log"
  done
  bytes=$("$tintype" show "$work/repo" --json | jq '.checkpoints[-1].bytes')
  line 'second backup of an unchanged GiB, its VMM killed, written' "$(awk "BEGIN { print $bytes / 2^30 * 100 }")" % most 1
}

# --- an object store --------------------------------------------------------------------------------------------------
# took_us COMMAND...
took_us() {
  local start
  start=$(now_us)
  "$@" >/dev/null 2>"$work/err" || die "$* failed: $(cat "$work/err")"
  echo $(($(now_us) - start))
}
by_curl() {
  curl -sSf --parallel --parallel-max 4 --aws-sigv4 aws:amz:us-east-1:s3 -H 'x-amz-content-sha256: UNSIGNED-PAYLOAD' \
    --user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" "$@"
}
# curl_down [DIRECTORY]: the objects of the one checkpoint there, all at once, to nowhere or into a new directory.
curl_down() {
  local name to options=()
  [[ -z ${1:-} ]] || mkdir "$1"
  while read -r name; do
    to=${1:+$1/${name//\//-}}
    options+=(-o "${to:-/dev/null}" "$AWS_ENDPOINT_URL/bench/$name")
  done < <(names_in_ceph bench film/)
  by_curl "${options[@]}"
}
# What memory holds, in four objects.
curl_up() {
  local piece options=()
  for piece in "$work"/piece.*; do options+=(-T "$piece" "$AWS_ENDPOINT_URL/bench/${piece##*/}"); done
  by_curl "${options[@]}"
}
in_times() { awk "BEGIN { print $(median <"$work/$1") / $(median <"$work/$2") }"; }
measure_store() {
  if ((EUID != 0)) || ! command -v radosgw >/dev/null; then
    say 'no object store: it takes root, and tools/setup stores'
    return
  fi
  local round in_memory
  in_memory=$(mktemp -u /dev/shm/tintype-bench-XXXXXX)
  ceph_start "$work/ceph" "$(free_ports 1)" "$(free_ports 1)" >"$work/ceph.log" 2>&1 ||
    die "Ceph does not start: $(cat "$work/ceph.log")"
  export AWS_ENDPOINT_URL=http://127.0.0.1:$ceph_port AWS_ACCESS_KEY_ID=$ceph_key AWS_SECRET_ACCESS_KEY=$ceph_secret
  s3 PUT /bench >/dev/null
  first_up 256 'mb=240 hot=0'
  "$tintype" checkpoint first --to "$work/film" >/dev/null
  split -n 4 "$work/film/00000001/memory.part" "$work/piece."
  for ((round = 0; round < rounds; ++round)); do
    took_us curl_up >>"$work/curl-up"
    took_us "$tintype" checkpoint first --to s3://bench/film --full >>"$work/up"
    took_us curl_down >>"$work/curl-down"
    took_us curl_down "$in_memory" >>"$work/curl-memory"
    rm -rf "$in_memory"
    took_us "$tintype" restore s3://bench/film --name second --memory-load eager --serial null --detach >>"$work/down"
    "$tintype" stop second --force >/dev/null
    "$tintype" delete s3://bench/film --id $((round + 1)) >/dev/null
  done
  line "upload of 240 MiB to Ceph, the speed of curl's" "$(in_times curl-up up)" '' least 0.8
  line "eager restore of them from Ceph, the speed of curl's" "$(in_times curl-down down)" '' least 0.8
  printf '%-58s %9.3f      (no goal)\n' 'the same, of curl into files in memory' "$(in_times curl-memory down)"
  end_all
}

for part in takeover rate backup store; do
  [[ -n $only && $only != "$part" ]] || "measure_$part"
done
