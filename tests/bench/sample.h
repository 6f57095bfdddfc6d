// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tests/bench/contenders.h"
#include "tests/bench/guest_work.h"
#include "tests/bench/place.h"

namespace tintype::test {

/// One capture: what it says of itself, and what the guest felt.
struct Sample {
  CaptureReport report;
  GuestCost cost;  ///< summed up: without the intervals
};

/// Captures `guest`, which `meter` watches, and deletes what was captured.
Sample capture_once(WorkMeter& meter, RunningGuest& guest, Place& place);

}  // namespace tintype::test
