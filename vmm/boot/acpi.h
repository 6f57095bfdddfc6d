// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "vmm/boot/aml.h"
#include "vmm/boot/request.h"

namespace tintype {

/// All ACPI tables of a machine, ready to be stored at guest physical `base` (64-byte aligned, below 4 GiB).
/// The RSDP comes first.
std::vector<std::byte> acpi_tables(std::uint64_t base, const BootRequest& request);

/// The DSDT's byte code: how to power off, COM1, the clock, and a device for each virtio-mmio slot.
aml::Bytes dsdt_code(const BootRequest& request);

}  // namespace tintype
