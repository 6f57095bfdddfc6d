// SPDX-License-Identifier: Apache-2.0
#include "vmm/boot/initrd.h"

#include "vmm/base/error.h"

namespace tintype {

std::uint64_t load_initrd(const ImageFile& initrd, std::optional<std::uint64_t> place, Placement& placement) {
  if (!place) {
    throw Error("the initrd {} ({} bytes) does not fit into the machine's memory beside the kernel: raise --memory",
                initrd.path(), initrd.size());
  }
  placement.load(initrd, {.image = initrd.path(),
                          .name = "initrd",
                          .start = *place,
                          .size = initrd.size(),
                          .file_size = initrd.size(),
                          .virtual_start = *place});
  return *place;
}

}  // namespace tintype
