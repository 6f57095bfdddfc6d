# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# A Debian package of what `meson install` installs. Sourced by tools/dev after common.sh.

package_dir="$build_dir-package"

# build_package: prints the package's file.
build_package() {
  local version architecture multiarch stage="$package_dir/stage" info
  version=$(meson introspect --projectinfo "$project_root/meson.build" | python3 -c 'import json, sys
print(json.load(sys.stdin)["version"])')
  version+=+$(git log -1 --format=%cd.%h --date=format:%Y%m%d)
  architecture=$(dpkg --print-architecture)
  multiarch=$(dpkg-architecture -q DEB_HOST_MULTIARCH)
  configure_build "$package_dir" --prefix=/usr --libdir="lib/$multiarch" -Dtests=false "${quick_options[@]}"
  ninja -C "$package_dir" installed >&2 || die "it does not build"
  rm -rf "$stage" "$package_dir"/tintype_*.deb
  DESTDIR=$stage meson install -C "$package_dir" --no-rebuild --quiet >&2 || die "it cannot be installed"
  strip_stage "$stage/usr" "$multiarch"
  gzip -9n "$stage"/usr/share/man/man1/*.1
  info="$stage/usr/share/doc/tintype"
  mkdir -p "$info" "$stage/usr/share/lintian/overrides" "$stage/DEBIAN"
  write_copyright >"$info/copyright"
  write_changelog "$version" | gzip -9n >"$info/changelog.gz"
  write_overrides >"$stage/usr/share/lintian/overrides/tintype"
  write_control "$version" "$architecture" "$stage" >"$stage/DEBIAN/control"
  (cd "$stage" && find usr -type f -print0 | sort -z | xargs -0 md5sum) >"$stage/DEBIAN/md5sums"
  find "$stage" -type d -exec chmod 755 {} +
  chmod -R go-w,a+rX "$stage"
  dpkg-deb --root-owner-group --build "$stage" "$package_dir/tintype_${version}_$architecture.deb" >&2
  printf '%s\n' "$package_dir/tintype_${version}_$architecture.deb"
}

# Debug information is most of it. Guest images keep theirs: it is what they are looked at with.
strip_stage() {
  local prefix=$1 multiarch=$2
  strip --strip-unneeded --remove-section=.comment "$prefix/bin/tintype" "$prefix/lib/$multiarch"/tintype/*.so
  strip --strip-debug --remove-section=.comment "$prefix/lib/$multiarch"/*.a
}

maintainer() { printf '%s <%s>' "$(git log -1 --format=%an)" "$(git log -1 --format=%ae)"; }

# late_packages: those of the libraries that no program names, because they are loaded when they are wanted.
late_packages() {
  local library
  sed -n 's/.* "\(lib.*\)"$/\1/p' "$package_dir/vmm/base/late_names.h" | while read -r library; do
    dpkg-query -S "*/$library" | sed -n '1s/:.*//p'
  done
}

# write_control VERSION ARCHITECTURE STAGE: what it needs is asked of its programs.
write_control() {
  local work needs
  work=$(mktemp -d)
  mkdir "$work/debian"
  printf 'Source: tintype\n\nPackage: tintype\nArchitecture: any\n' >"$work/debian/control"
  needs=$(cd "$work" && dpkg-shlibdeps -O -e"$3/usr/bin/tintype" 2>/dev/null | sed -n 's/^shlibs:Depends=//p')
  rm -rf "$work"
  [[ -n $needs ]] || die "dpkg-shlibdeps does not say what build-package/tintype needs"
  needs+=$(late_packages | sed 's/^/, /' | tr -d '\n')
  cat <<TEXT
Package: tintype
Version: $1
Architecture: $2
Maintainer: $(maintainer)
Installed-Size: $(du -sk --exclude=DEBIAN "$3" | cut -f 1)
Depends: $needs
Recommends: nbdkit
Suggests: gdb, qemu-utils
Section: otherosfs
Priority: optional
Description: hypervisor with live checkpoints of running machines
 Tintype runs virtual machines on KVM and photographs them while they run:
 memory, CPUs, devices and disks of one instant. Such a checkpoint is restored
 in milliseconds, cloned, sent to another computer, or looked at with gdb.
TEXT
}

write_changelog() {
  cat <<TEXT
tintype ($1) unstable; urgency=medium

  * Built by tools/dev package from commit $(git log -1 --format=%h).

 -- $(maintainer)  $(git log -1 --format=%cD)
TEXT
}

write_copyright() {
  cat <<TEXT
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: Tintype

Files: *
Copyright: $(git log -1 --format=%cd --date=format:%Y) the authors of Tintype
License: Apache-2.0
 On Debian systems, the text of this license is in
 /usr/share/common-licenses/Apache-2.0.
TEXT
}

# Guest images are no programs of the host: they are loaded into machines, and all of each is in it.
write_overrides() {
  local tag
  for tag in binary-from-other-architecture statically-linked-binary unstripped-binary-or-object \
    executable-in-usr-lib embedded-library elf-error hardening-no-pie; do
    printf 'tintype: %s *usr/lib/*/tintype/*.elf*\n' "$tag"
  done
}

# check_package FILE: lintian finds no error.
check_package() {
  if ! have lintian; then
    say "package: lintian is not here, so nobody has looked at it"
    return 0
  fi
  lintian --allow-root --fail-on error --suppress-tags no-manual-page "$1" >&2 || die "lintian finds errors in $1"
}
