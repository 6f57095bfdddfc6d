# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# The peer: QEMU's machine, with the same guest, comes back from the file of a migration, and from a snapshot in a qcow2
# image. Sourced by restore.sh.

readonly qemu_largest=4096  # MiB. It reads all of a machine before it runs: a minute and more for what is larger
readonly qemu_machine=(-M 'microvm,x-option-roms=off,isa-serial=on,acpi=off' -enable-kvm -nodefaults -no-user-config
  -display none -device 'isa-debug-exit,iobase=0xf4,iosize=4')
readonly qemu_disk=(-drive "if=none,id=disk,format=qcow2,file=$work/qemu.qcow2" -device 'virtio-blk-device,drive=disk')
qemu=

# qemu_guest MIB OPTION...: becomes it, so it is for the background.
qemu_guest() {
  local mib=$1
  shift
  exec qemu-system-x86_64 "${qemu_machine[@]}" -m "$mib" -kernel "$images/hotset.elf" \
    -append "mb=$((mib - 64)) $hotset_options" "$@"
}
# qemu_up MIB OPTION...
qemu_up() {
  rm -f "$work/qemu.log"
  qemu_guest "$@" -serial "file:$work/qemu.log" -qmp "unix:$work/qmp,server=on,wait=off" </dev/null >/dev/null 2>&1 &
  qemu=$!
  until_true grep -q WORK "$work/qemu.log"
}
qemu_down() {
  kill -KILL "$qemu" 2>/dev/null || true
  wait "$qemu" 2>/dev/null || true
  qemu=
}
qemu_said() {  # COMMAND...
  printf '%s\n' '{"execute":"qmp_capabilities"}' "$@" | timeout 120 socat -t 120 - "UNIX:$work/qmp" >"$work/qmp.out"
}

# Migrated while it runs: a machine that was stopped before stays so when it comes back.
is_migrated() { qemu_said '{"execute":"query-migrate"}' && grep -q '"completed"' "$work/qmp.out"; }
qemu_incoming() {
  local mib=$1 us
  qemu_up "$mib"
  qemu_said '{"execute":"migrate-set-parameters","arguments":{"max-bandwidth":100000000000}}' \
    '{"execute":"migrate","arguments":{"uri":"exec:cat >'"$work"'/qemu.state"}}'
  until_true is_migrated
  qemu_down
  us=$(of_rounds first_line_us qemu_guest "$mib" -serial stdio -incoming "exec:cat $work/qemu.state")
  figure "qemu_incoming_$mib" "$(ms "$us")" ms "QEMU -incoming of a file, to the guest's next line, $mib MiB"
  rm -f "$work/qemu.state"
}

qemu_loadvm() {
  local mib=$1 us
  qemu-img create -q -f qcow2 "$work/qemu.qcow2" 64M
  qemu_up "$mib" "${qemu_disk[@]}"
  qemu_said '{"execute":"human-monitor-command","arguments":{"command-line":"savevm bench"}}'
  grep -q '"return": ""' "$work/qmp.out" || die "QEMU saves no snapshot: $(cat "$work/qmp.out")"
  qemu_down
  us=$(of_rounds first_line_us qemu_guest "$mib" "${qemu_disk[@]}" -serial stdio -loadvm bench)
  figure "qemu_loadvm_$mib" "$(ms "$us")" ms "QEMU loadvm from a qcow2 image, to the guest's next line, $mib MiB"
  rm -f "$work/qemu.qcow2"
}

has_qemu() {
  local program
  for program in qemu-system-x86_64 qemu-img socat; do
    have "$program" || { say "$program is missing: no peer is measured" && return 1; }
  done
}
qemu_to_the_first_line() {
  if (($1 > qemu_largest)); then
    say "$1 MiB: QEMU is left out, its limit here is $qemu_largest MiB"
    return
  fi
  qemu_incoming "$1"
  qemu_loadvm "$1"
}
