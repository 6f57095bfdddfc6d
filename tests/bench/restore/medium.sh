# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# The file system that all is on ($work): what there is room for, and its page cache. Sourced by restore.sh.

readonly spare_mib=3072  # for capture area, page cache and everybody else

# Where files are memory there is nothing to be read from.
is_memory() { [[ $(stat -f -c %T "$work") == @(tmpfs|ramfs) ]]; }

# has_room MIB: for a guest of that size, and once more for what it is saved to. Otherwise says what is left out.
has_room() {
  local mib=$1 memory=$(($1 + spare_mib)) available free
  ! is_memory || memory=$((memory + mib))
  available=$(awk '/^MemAvailable:/ { print int($2 / 1024) }' /proc/meminfo)
  free=$(df -BM --output=avail "$work" | awk 'NR == 2 { print int($1) }')
  if ((available < memory)); then
    say "$mib MiB: left out, this takes $memory MiB of memory, and $available are available"
  elif ((free < mib + spare_mib)); then
    say "$mib MiB: left out, this takes $((mib + spare_mib)) MiB in $to, and $free are free"
  else
    return 0
  fi
  return 1
}

# warm DIR, cool DIR: all files in it are in the page cache; none is.
warm() { find "$1" -type f -exec cat {} + >/dev/null; }
cool() {
  find "$1" -type f -exec sync {} +
  find "$1" -type f -exec dd if={} iflag=nocache count=0 status=none \;
  ! have fincore || [[ $(cached_bytes "$1") == 0 ]] || die "$to keeps in memory what should be cold"
}
cached_bytes() {
  find "$1" -type f -exec fincore --bytes --noheadings --output RES {} + | awk '{ sum += $1 } END { print sum + 0 }'
}
