#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The way back: how long a restored machine takes to its guest's next line, what loading costs, how many clones come up
# at once, and how long a reset in place takes; with QEMU in the same run. README.md says what each figure is.
# usage: tools/bench restore [--rounds N] [--to DIR] [--clones N] [--sizes "256 1024"] [--json FILE]
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../../tools/lib/common.sh"
# shellcheck source=tools/lib/bench.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../tools/lib/bench.sh"

rounds=5 to=. clones=100 sizes='256 1024 4096' json_file=
while (($#)); do
  case $1 in
    --rounds) rounds=$2 && shift 2 ;;
    --to) to=$2 && shift 2 ;;
    --clones) clones=$2 && shift 2 ;;
    --sizes) sizes=$2 && shift 2 ;;
    --json) json_file=$2 && shift 2 ;;
    *) usage_error "tools/bench restore knows --rounds, --to, --clones, --sizes and --json, and no $1" ;;
  esac
done

build=${TINTYPE_BUILD_DIR:-$build_dir}
tintype=$build/tintype images=$build/guest-images
work=$(mktemp -d "$(realpath "$to")/tintype-bench-XXXXXX")
export TINTYPE_RUNTIME_DIR=$work/run
figures=$work/figures qemu=
trap finish EXIT

finish() {
  local pid
  [[ -z $qemu ]] || kill -KILL "$qemu" 2>/dev/null || true
  for pid in $(timeout 60 "$tintype" list --json 2>/dev/null | jq -r '.machines[].pid'); do
    kill -KILL "$pid" 2>/dev/null || true
  done
  rm -rf "$work"
}
# figure NAME VALUE UNIT WHAT [most|least LIMIT]: a line of the table, and one of the JSON.
figure() {
  jq -nc --arg name "$1" --argjson value "$2" --arg unit "$3" '{name: $name, value: $value, unit: $unit}' >>"$figures"
  awk -v what="$4" -v value="$2" -v unit="$3" -v side="${5:-}" -v limit="${6:-0}" 'BEGIN {
    printf "%-66s %9.2f %-4s", what, value, unit
    if (side != "") printf " (goal: at %s %g) %s", side, limit,
      (side == "least" ? value >= limit : value <= limit) ? "met" : "MISSED"
    print "" }'
}
ratio() { awk -v a="$1" -v b="$2" 'BEGIN { print (b > 0 ? a / b : 0) }'; }
ms() { awk -v us="$1" 'BEGIN { print us / 1000 }'; }

# up NAME IMAGE MIB APPEND [DISK]...: runs, and has begun with its work.
up() {
  local name=$1 image=$2 mib=$3 append=$4 disk disks=()
  shift 4
  for disk; do disks+=(--disk "$disk"); done
  "$tintype" run --kernel "$images/$image.elf" --memory "${mib}M" --name "$name" --detach --serial \
    "file:$work/$name.log" --append "$append" "${disks[@]}" >/dev/null
  until_true grep -qE 'WORK|TICK ' "$work/$name.log"
}
end() { "$tintype" stop "$1" --force >/dev/null 2>&1 || true; }
# photographed IMAGE MIB APPEND REPO [DISK]...
photographed() {
  local image=$1 mib=$2 append=$3 repository=$4
  shift 4
  up subject "$image" "$mib" "$append" "$@"
  "$tintype" checkpoint subject --to "$repository" >/dev/null
  end subject
}

# first_line_us COMMAND...: from exec to the first line that the guest prints.
first_line_us() {
  local start line pipe=$work/pipe end
  rm -f "$pipe" && mkfifo "$pipe"
  start=$(now_us)
  "$@" >"$pipe" 2>/dev/null </dev/null &
  last_pid=$!
  read -r -t 60 line <"$pipe" || die "it says nothing: $*"
  end=$(now_us)
  elapsed_us=$((end - start))
  kill -KILL "$last_pid"
  wait "$last_pid" 2>/dev/null || true
}
# restored_us REPO LOAD
restored_us() {
  rm -rf "$work/disks" && mkdir "$work/disks"
  first_line_us "$tintype" restore "$1" --name again --memory-load "$2" --disk-dir "$work/disks" --serial stdio
}
of_rounds() {
  local i
  for ((i = 0; i < rounds; ++i)); do "$@"; echo "$elapsed_us"; done | median
}

to_the_first_line() {
  local mib us
  for mib in $sizes; do
    truncate -s 64M "$work/a.img" "$work/b.img"
    photographed hotset "$mib" "mb=$((mib - 64)) hot=1 interval_ms=1" "$work/repo-$mib" "$work/a.img" "$work/b.img"
    us=$(of_rounds restored_us "$work/repo-$mib" lazy)
    figure "lazy_first_line_$mib" "$(ms "$us")" ms "restore, lazy, to the guest's next line, $mib MiB, 2 disks" most 5
  done
}

# What cat takes for the same file, an eager restore for all of it, and a lazy one under a guest that wants all at once.
loading() {
  local repository=$work/repo-sweep cat_us eager_us lazy_us
  photographed staircase 600 mb=512 "$repository"
  cat_us=$(of_rounds cat_of "$repository/00000001/memory.part")
  eager_us=$(of_rounds restored_us "$repository" eager)
  lazy_us=$(of_rounds loaded_us "$repository")
  figure cat "$(ms "$cat_us")" ms "cat of the memory of a guest that sweeps through 512 MiB"
  figure eager "$(ms "$eager_us")" ms "restore of it, eager, to the guest's next line"
  figure eager_to_cat "$(ratio "$cat_us" "$eager_us")" x "cat's time to eager's" least 0.9
  figure lazy_whole "$(ms "$lazy_us")" ms "restore of it, lazy, until all is there"
  figure lazy_to_eager "$(ratio "$eager_us" "$lazy_us")" x "eager's time to lazy's" least 0.8
}
cat_of() {
  local start
  start=$(now_us)
  cat "$1" >/dev/null
  elapsed_us=$(($(now_us) - start))
}
# It runs, and the threads that load are gone. To ask it by `tintype status` would take a CPU from them.
is_loaded() { [[ -s $work/again ]] && ! grep -qs lazy-load "/proc/$last_pid"/task/*/comm; }
loaded_us() {
  local start
  rm -rf "$work/disks" "$work/again" && mkdir "$work/disks"
  start=$(now_us)
  "$tintype" restore "$1" --name again --memory-load lazy --disk-dir "$work/disks" --serial "file:$work/again" \
    >/dev/null 2>&1 </dev/null &
  last_pid=$!
  until_true is_loaded
  elapsed_us=$(($(now_us) - start))
  kill -KILL "$last_pid"
  wait "$last_pid" 2>/dev/null || true
}

# The first line of the last clone: its serial file is polled.
all_ticking() { (($(grep -ls TICK "$work"/clone.log-* 2>/dev/null | wc -l) == clones)); }
side_by_side() {
  local start returned ticking
  truncate -s 16M "$work/c.img"
  photographed ticker 256 "hz=100 every=100" "$work/repo-ticker" "$work/c.img"
  rm -rf "$work/disks" && mkdir "$work/disks"
  start=$(now_us)
  "$tintype" restore "$work/repo-ticker" --name clone --clones "$clones" --disk-dir "$work/disks" --serial \
    "file:$work/clone.log" >/dev/null
  returned=$(($(now_us) - start))
  until_true all_ticking
  ticking=$(($(now_us) - start))
  figure clones_run "$(ms "$returned")" ms "$clones clones of 256 MiB with a disk: until the last one runs" most 100
  figure clones_tick "$(ms "$ticking")" ms "until the last one has ticked"
  figure clone_private "$(clone_private_kib | median | awk '{ print $1 / 1024 }')" MiB \
    "private memory of a clone, median" most 2
  "$tintype" list --json | jq -r '.machines[].pid' | xargs -r kill -KILL
  until_true no_machines
}
no_machines() { "$tintype" list --json | jq -e '.machines == []' >/dev/null; }
clone_private_kib() {
  local pid
  for pid in $("$tintype" list --json | jq '.machines[].pid'); do
    awk '/^Private/ { sum += $2 } END { print sum }' "/proc/$pid/smaps_rollup"
  done
}

# pause_us of resets, half of which took no longer; each after what the guest writes meanwhile.
resets() {
  local i
  for ((i = 0; i < 20 * rounds; ++i)); do
    "$tintype" reset subject --json | jq .pause_us
  done | median
}
in_place() {
  truncate -s 64M "$work/a.img" "$work/b.img"
  up subject hotset 256 "mb=64 hot=1 rate=64" "$work/a.img" "$work/b.img"
  "$tintype" mark subject >/dev/null
  figure reset_few "$(resets)" us "reset in place, about 64 pages written, 2 disks" most 100
  end subject
  up subject hotset 256 "mb=64 hot=10 interval_ms=1000" "$work/a.img" "$work/b.img"
  "$tintype" mark subject >/dev/null
  figure reset_many "$(ms "$(resets)")" ms "reset in place, 10 MB written, 2 disks" most 5
  end subject
}

# QEMU: its machine saved by a migration to a file, and started from there; the same guest, no disks.
qemu_arguments=(-M 'microvm,x-option-roms=off,isa-serial=on,acpi=off' -enable-kvm -nodefaults -no-user-config
  -display none -device 'isa-debug-exit,iobase=0xf4,iosize=4')
qemu_said() {  # COMMAND...
  printf '%s\n' '{"execute":"qmp_capabilities"}' "$@" | timeout 60 socat -t 1 - "UNIX:$work/qmp" >"$work/qmp.out"
}
qemu_saved() { qemu_said '{"execute":"query-migrate"}' && grep -q '"completed"' "$work/qmp.out"; }
against_qemu() {
  local mib us options
  if ! command -v qemu-system-x86_64 socat >/dev/null; then
    printf 'QEMU or socat is missing: no peer is measured\n' >&2
    return
  fi
  for mib in $sizes; do
    options="mb=$((mib - 64)) hot=1 interval_ms=1"
    qemu-system-x86_64 "${qemu_arguments[@]}" -m "$mib" -kernel "$images/hotset.elf" -append "$options" \
      -serial "file:$work/qemu.log" -qmp "unix:$work/qmp,server=on,wait=off" </dev/null >/dev/null 2>&1 &
    qemu=$!
    until_true grep -q WORK "$work/qemu.log"
    # Running: one that was stopped before stays so when it comes back.
    qemu_said '{"execute":"migrate-set-parameters","arguments":{"max-bandwidth":100000000000}}' \
      '{"execute":"migrate","arguments":{"uri":"exec:cat >'"$work"'/qemu.state"}}'
    until_true qemu_saved
    kill -KILL "$qemu"
    wait "$qemu" 2>/dev/null || true
    qemu=
    us=$(of_rounds first_line_us qemu-system-x86_64 "${qemu_arguments[@]}" -m "$mib" -kernel "$images/hotset.elf" \
      -append "$options" -serial stdio -incoming "exec:cat $work/qemu.state")
    figure "qemu_incoming_$mib" "$(ms "$us")" ms "QEMU -incoming of a file, to the guest's next line, $mib MiB"
    rm -f "$work/qemu.log" "$work/qemu.state"
  done
}

to_the_first_line
loading
side_by_side
in_place
against_qemu
[[ -z $json_file ]] || jq -s '{benchmark: "restore", figures: .}' "$figures" >"$json_file"
