#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The way back: how long a restored machine takes to its guest's next line, what loading costs, how many clones come up
# at once, and how long a reset in place takes; with QEMU in the same run. README.md says what each figure is.
# usage: tools/bench restore [--rounds N] [--to DIR] [--clones N] [--sizes "256 1024"] [--json FILE] [--svg DIR]
set -euo pipefail
here=$(realpath "$(dirname "${BASH_SOURCE[0]}")")
source "$here/../../tools/lib/common.sh"
# shellcheck source=tools/lib/bench.sh
source "$here/../../tools/lib/bench.sh"

rounds=5 to=. clones=100 sizes='256 1024 4096 12288' json_file='' svg_dir=''
while (($#)); do
  case $1 in
    --rounds) rounds=$2 && shift 2 ;;
    --to) to=$2 && shift 2 ;;
    --clones) clones=$2 && shift 2 ;;
    --sizes) sizes=$2 && shift 2 ;;
    --json) json_file=$2 && shift 2 ;;
    --svg) svg_dir=$2 && shift 2 ;;
    *) usage_error "tools/bench restore knows --rounds, --to, --clones, --sizes, --json and --svg, and no $1" ;;
  esac
done
[[ -z $svg_dir ]] || have gnuplot || die "--svg wants gnuplot: tools/setup bench installs it"

build=${TINTYPE_BUILD_DIR:-$build_dir}
tintype=$build/tintype images=$build/guest-images
to=$(realpath "$to")
work=$(mktemp -d "$to/tintype-bench-XXXXXX")
figures=$work/figures
hotset_options='hot=1 interval_ms=1'
export TINTYPE_RUNTIME_DIR=$work/run
export until_true_seconds=300  # 12 GiB are touched, on a host that clears each page first
# shellcheck source=tests/bench/restore/figures.sh
source "$here/restore/figures.sh"
# shellcheck source=tests/bench/restore/medium.sh
source "$here/restore/medium.sh"
# shellcheck source=tests/bench/restore/qemu.sh
source "$here/restore/qemu.sh"
trap finish EXIT

finish() {
  local pid
  for pid in $qemu $(cat "$work/timed" 2>/dev/null) \
    $(timeout 60 "$tintype" list --json 2>/dev/null | jq -r '.machines[].pid | select(. > 1)'); do
    kill -KILL "$pid" 2>/dev/null || true
  done
  rm -rf "$work"
}

# up NAME IMAGE MIB APPEND [OPTION...]: runs, and has begun with its work.
up() {
  local name=$1 image=$2 mib=$3 append=$4
  shift 4
  "$tintype" run --kernel "$images/$image.elf" --memory "${mib}M" --name "$name" --detach --serial \
    "file:$work/$name.log" --append "$append" "$@" >/dev/null
  until_true grep -qE 'WORK|TICK ' "$work/$name.log"
}
end() { "$tintype" stop "$1" --force >/dev/null 2>&1 || true; }
# photographed REPO IMAGE MIB APPEND [OPTION...]
photographed() {
  local repository=$1
  shift
  up subject "$@"
  "$tintype" checkpoint subject --to "$repository" >/dev/null
  end subject
}
# Two empty ones.
disks() { truncate -s 64M "$work/a.img" "$work/b.img"; }
two_disks=(--disk "$work/a.img" --disk "$work/b.img")

# first_line_us COMMAND...: from exec to the first line that the guest prints.
first_line_us() {
  local start line pipe=$work/pipe end
  rm -f "$pipe" && mkfifo "$pipe"
  start=$(now_us)
  "$@" >"$pipe" 2>/dev/null </dev/null &
  timed=$!
  echo "$timed" >"$work/timed"
  read -r -t 120 line <"$pipe" || die "it says nothing: $*"
  end=$(now_us)
  elapsed_us=$((end - start))
  end_timed
}
end_timed() {
  kill -KILL "$timed" 2>/dev/null || true
  wait "$timed" 2>/dev/null || true
  rm "$work/timed"
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

# cold_us REPO: the same when nothing of it is in the page cache.
cold_us() {
  cool "$1"
  restored_us "$1" lazy
}
# to_the_first_line MIB CPUS: of a guest with two disks; one with two CPUs is restored cold, too. The goal is that of the
# first useful byte: nobody outside sees the next instruction, for which it is 3 ms.
to_the_first_line() {
  local mib=$1 cpus=$2 repository=$work/repo-$1-$2 us what="to the guest's next line, $1 MiB, 2 disks, $2 CPU"
  ((cpus == 1)) || what+=s
  disks
  photographed "$repository" hotset "$mib" "mb=$((mib - 64)) cpus=$cpus $hotset_options" --cpus "$cpus" \
    "${two_disks[@]}"
  warm "$repository"
  us=$(of_rounds restored_us "$repository" lazy)
  figure "lazy_first_line_${cpus}cpu_$mib" "$(ms "$us")" ms "restored lazily $what" most 5
  if ((cpus == 2)) && ! is_memory; then
    us=$(of_rounds cold_us "$repository")
    figure "cold_first_line_${cpus}cpu_$mib" "$(ms "$us")" ms "restored cold $what"
  fi
  rm -rf "$repository"
}
all_sizes() {
  local mib peer=
  ! is_memory || say "no cold rows: the files in $to are memory, and are never read from a device"
  ! has_qemu || peer=yes
  for mib in $sizes; do
    has_room "$mib" || continue
    to_the_first_line "$mib" 1
    to_the_first_line "$mib" 2
    [[ -z $peer ]] || qemu_to_the_first_line "$mib"
  done
}

# What cat takes for the same file, an eager restore for all of it, and a lazy one under a guest that wants all at once.
loading() {
  local repository=$work/repo-sweep cat_us eager_us lazy_us
  photographed "$repository" staircase 600 mb=512
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
is_loaded() { [[ -s $work/again ]] && ! grep -qs lazy-load "/proc/$timed"/task/*/comm; }
loaded_us() {
  local start
  rm -rf "$work/disks" "$work/again" && mkdir "$work/disks"
  start=$(now_us)
  "$tintype" restore "$1" --name again --memory-load lazy --disk-dir "$work/disks" --serial "file:$work/again" \
    >/dev/null 2>&1 </dev/null &
  timed=$!
  echo "$timed" >"$work/timed"
  until_true is_loaded
  elapsed_us=$(($(now_us) - start))
  end_timed
}

# The first line of the last clone: its serial file is polled.
all_ticking() { (($(grep -ls TICK "$work"/clone.log-* 2>/dev/null | wc -l) == clones)); }
side_by_side() {
  local start returned ticking
  truncate -s 16M "$work/c.img"
  photographed "$work/repo-ticker" ticker 256 "hz=100 every=100" --disk "$work/c.img"
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
  "$tintype" list --json | jq -r '.machines[].pid | select(. > 1)' | xargs -r kill -KILL
  until_true no_machines
}
no_machines() { "$tintype" list --json | jq -e '.machines == []' >/dev/null; }
clone_private_kib() {
  local pid
  for pid in $("$tintype" list --json | jq '.machines[].pid | select(. > 1)'); do
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
  disks
  up subject hotset 256 "mb=64 hot=1 rate=64" "${two_disks[@]}"
  "$tintype" mark subject >/dev/null
  figure reset_few "$(resets)" us "reset in place, about 64 pages written, 2 disks" most 100
  end subject
  up subject hotset 256 "mb=64 hot=10 interval_ms=1000" "${two_disks[@]}"
  "$tintype" mark subject >/dev/null
  figure reset_many "$(ms "$(resets)")" ms "reset in place, 10 MB written, 2 disks" most 5
  end subject
}

all_sizes
loading
side_by_side
in_place
[[ -z $json_file ]] || jq -s '{benchmark: "restore", figures: .}' "$figures" >"$json_file"
if [[ -n $svg_dir ]]; then
  mkdir -p "$svg_dir"
  draw_plot "$here" "$svg_dir/restore.svg"
fi
