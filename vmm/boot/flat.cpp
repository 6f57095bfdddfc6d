// SPDX-License-Identifier: Apache-2.0
#include "vmm/boot/flat.h"

#include "vmm/base/error.h"

namespace tintype {

namespace {

constexpr std::uint64_t kFirstHardDisk = 0x80;

}  // namespace

EntryState boot_flat(const ImageFile& file, const BootRequest& request, Placement& placement) {
  if (!request.initrd.empty()) {
    throw Error("{} is a flat binary, which cannot be given an initrd: leave out --initrd", file.path());
  }
  placement.load(file, {.image = file.path(),
                        .name = "image",
                        .start = kFlatStart,
                        .size = file.size(),
                        .file_size = file.size(),
                        .virtual_start = kFlatStart});
  EntryState entry = real_mode_entry(kFlatStart, kFlatStart);
  entry.rdx = kFirstHardDisk;
  return entry;
}

}  // namespace tintype
