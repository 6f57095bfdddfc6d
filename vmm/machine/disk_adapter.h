// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "checkpoint/capture/subject.h"
#include "devices/block/virtual_disk.h"

namespace tintype {

/// A virtual disk in the eyes of a checkpoint: the two know nothing of each other. The disk must outlive the adapter.
std::unique_ptr<FreezableDisk> make_freezable(VirtualDisk& disk);

}  // namespace tintype
