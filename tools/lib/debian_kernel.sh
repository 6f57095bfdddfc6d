# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Debian's stock cloud kernels, straight out of their packages: fetched with apt, unpacked with dpkg -x, nothing installed.
# Sourced after common.sh.

# kernel_package_name SERIES: the newest cloud kernel of that series (6.1, 6.12) that apt knows; signed before unsigned.
kernel_package_name() {
  local pattern="^linux-image-${1//./\\.}\\.[0-9]+.*-cloud-amd64"
  local names
  names=$(apt-cache search --names-only "$pattern" 2>/dev/null | awk '{print $1}' | grep -E -- '-cloud-amd64(-unsigned)?$' || true)
  { grep -v -- '-unsigned$' <<<"$names" || printf '%s\n' "$names"; } | sort -V | tail -n 1
}

# debian_kernel SERIES: prints the directory that holds `vmlinuz` and `modules/`, fetching it the first time.
debian_kernel() {
  local series=$1
  local home="$cache_dir/kernels/$series"
  if [[ ! -e $home/vmlinuz ]]; then
    mkdir -p "$cache_dir/kernels"
    # Two scripts may want the same kernel at once: the second waits, then finds it there.
    (
      flock 9
      [[ -e $home/vmlinuz ]] || fetch_kernel "$series" "$home"
    ) 9>"$cache_dir/kernels/$series.lock" || return 1
  fi
  printf '%s\n' "$home"
}

fetch_kernel() {
  local series=$1 home=$2 package work
  package=$(kernel_package_name "$series")
  if [[ -z $package ]]; then
    refresh_package_lists
    package=$(kernel_package_name "$series")
  fi
  [[ -n $package ]] || die "apt knows no Linux $series cloud kernel; add bookworm-security or bookworm-backports to the apt sources"
  say "fetching Debian's kernel $package"
  work=$(mktemp -d "$cache_dir/kernels/fetch.XXXXXX")
  if ! download_package "$package" "$work"; then
    refresh_package_lists
    package=$(kernel_package_name "$series")
    download_package "$package" "$work" || die "could not download $package: check the network and the apt sources"
  fi
  dpkg -x "$work"/*.deb "$work/tree" || die "could not unpack $package"
  mkdir "$work/home"
  mv "$work"/tree/boot/vmlinuz-* "$work/home/vmlinuz"
  mv "$work"/tree/*/modules/* "$work/home/modules" 2>/dev/null || mv "$work"/tree/usr/lib/modules/* "$work/home/modules"
  printf '%s\n' "$package" >"$work/home/package"
  rm -rf "$home"
  mv -T "$work/home" "$home"
  rm -rf "$work"
}

# debian_kernel_symbols SERIES: prints where its `vmlinux` with debugging information is, fetched the first time. Fails
# where apt has none for just this kernel.
debian_kernel_symbols() {
  local home work
  home=$(debian_kernel "$1") || return
  if [[ ! -e $home/vmlinux ]]; then
    work=$(mktemp -d "$cache_dir/kernels/fetch.XXXXXX")
    say "fetching the symbols of $(<"$home/package")"
    download_package "$(<"$home/package")-dbg" "$work" &&
      dpkg --fsys-tarfile "$work"/*.deb | tar -xO --wildcards './usr/lib/debug/boot/vmlinux-*' >"$home/vmlinux.part" &&
      mv "$home/vmlinux.part" "$home/vmlinux"
    rm -rf "$work"
  fi
  [[ -s $home/vmlinux ]] && printf '%s\n' "$home/vmlinux"
}

# download_package PACKAGE DIRECTORY. As root, apt would like to fetch as its own user, who cannot write here: tell it not to.
download_package() { (cd "$2" && apt-get download -qq -o APT::Sandbox::User="$(id -un)" "$1") >/dev/null 2>&1; }

refresh_package_lists() {
  say "refreshing the package lists (apt-get update)"
  as_root apt-get update -qq >/dev/null 2>&1 || true
}

# module_file HOME NAME: the file of a module, whose name may be spelled with - or _; nothing when it is built in.
module_file() {
  local pattern=${2//[-_]/[-_]}
  find "$1/modules/kernel" \( -name "$pattern.ko" -o -name "$pattern.ko.xz" -o -name "$pattern.ko.zst" \) -print -quit
}

read_module() {
  case $1 in
    *.xz) xz -dc "$1" ;;
    *.zst) zstd -qdc "$1" ;;
    *) cat "$1" ;;
  esac
}

# copy_modules HOME DESTINATION NAME...: copies the modules, uncompressed, and all they depend on, and lists
# them in DESTINATION/order as they must be loaded. Names that the kernel has built in are passed over.
copy_modules() {
  local home=$1 destination=$2 name
  shift 2
  mkdir -p "$destination"
  touch "$destination/order"
  for name in "$@"; do
    copy_module "$home" "$destination" "$name"
  done
}

copy_module() {
  local home=$1 destination=$2 name=${3//-/_} file depends depended
  [[ ! -e $destination/$name.ko ]] || return 0
  file=$(module_file "$home" "$name")
  [[ -n $file ]] || return 0
  read_module "$file" >"$destination/$name.ko"
  depends=$(tr '\0' '\n' <"$destination/$name.ko" | LC_ALL=C awk -F= '$1 == "depends" && !seen++ { print $2 }')
  for depended in ${depends//,/ }; do
    copy_module "$home" "$destination" "$depended"
  done
  printf '%s.ko\n' "$name" >>"$destination/order"
}
