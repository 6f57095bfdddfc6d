# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What every script in tools/ shares: where things are, how to speak, how to stop.
# Sourced, never run.

project_root="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
build_dir="${TINTYPE_BUILD_DIR:-$project_root/build}"
# One second tree serves four suites: clang-tidy, clang's warnings, both sanitizers, and the fuzzers, which want the two
# anyway. ThreadSanitizer goes with no other, so it has a third, of which only what its tests need is built.
clang_dir="$build_dir-clang"
tsan_dir="$build_dir-tsan"
# Things fetched once and kept between runs: Debian kernels, the rig's initramfs.
cache_dir="${TINTYPE_CACHE_DIR:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/tintype}"
# Programs such as mke2fs live in sbin, which is not on every user's PATH.
PATH="$PATH:/usr/sbin:/sbin"

say() { printf '%s\n' "$*" >&2; }

die() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  exit 1
}

usage_error() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  exit 2
}

have() { command -v "$1" >/dev/null 2>&1; }

# as_root COMMAND...: runs it as root, through sudo where that is needed.
as_root() {
  if [[ $(id -u) == 0 ]]; then
    "$@"
  elif have sudo; then
    sudo "$@"
  else
    die "this needs root: run '$*' as root, or install sudo"
  fi
}

# Most of a compilation goes into headers, much of the rest into telling a debugger of every variable. So what tools/
# builds compiles several sources of a target as one (a "unity build"), and keeps lines for a stack trace only: that
# takes a third of the time. The warning is for headers, which these sources look like then; clang does not know it.
readonly quick_options=(-Dunity=on -Dunity_size=12
  "-Dcpp_args=-g1 -Wno-unknown-warning-option -Wno-subobject-linkage")
readonly sanitizer_options=("${quick_options[@]}" -Doptimization=1 -Db_lundef=false)

# configure_build DIRECTORY [MESON-OPTION...]: sets the build directory up once; meson keeps it up to date. Of some 200
# programs to be linked in three trees, mold links each in a quarter of the time.
configure_build() {
  local directory=$1 linker=${CXX_LD:-}
  shift
  [[ -n $linker ]] || ! command -v mold >/dev/null || linker=mold
  [[ -f $directory/build.ninja ]] || CXX_LD=$linker meson setup "$directory" "$project_root" "$@" >&2 ||
    die "meson could not set up $directory"
}

configure_main() {
  configure_build "$build_dir" "${quick_options[@]}"
}

configure_clang() {
  CXX=clang++ configure_build "$clang_dir" "${sanitizer_options[@]}" -Db_sanitize=address,undefined
}

configure_tsan() {
  CXX=clang++ configure_build "$tsan_dir" "${sanitizer_options[@]}" -Db_sanitize=thread
}

# stop_process PID: asks it to end, then makes it; returns when it is gone.
stop_process() {
  local pid=$1 tries
  kill -TERM "$pid" 2>/dev/null || return 0
  for ((tries = 0; tries < 20; tries++)); do
    kill -0 "$pid" 2>/dev/null || return 0
    sleep 0.1
  done
  kill -KILL "$pid" 2>/dev/null || true
}

# kvm_works: /dev/kvm is here and a machine runs on it, asked of our own `tintype doctor`. Otherwise kvm_complaint says why not.
kvm_complaint=''
kvm_works() {
  if [[ -n ${TINTYPE_NO_KVM:-} ]]; then
    kvm_complaint='TINTYPE_NO_KVM is set'
  elif [[ ! -e /dev/kvm ]]; then
    kvm_complaint='there is no /dev/kvm'
  elif [[ ! -r /dev/kvm || ! -w /dev/kvm ]]; then
    kvm_complaint='/dev/kvm may not be opened by this user'
  elif ! hello_runs; then
    kvm_complaint='/dev/kvm is here but no machine runs on it'
  else
    return 0
  fi
  return 1
}

# What it prints decides, not its exit code: that is the guest's, and `hello` leaves with 1 where all is well.
hello_runs() {
  local output
  output=$(timeout 30 "$build_dir/tintype" run --kernel "$build_dir/guest-images/hello.elf" --memory 16M --serial stdio \
    --name "probe-$$" </dev/null 2>/dev/null) || true
  [[ $output == *HELLO* ]]
}
