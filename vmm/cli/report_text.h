// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "checkpoint/format/report.h"

namespace tintype {

/// A checkpoint's report for people: a few aligned lines, without a newline at the end.
std::string report_text(const CheckpointReport& report);
/// The same of one that was read from a checkpoint, whose manifest cannot say how long it took to seal it.
std::string stored_report_text(const CheckpointReport& report);

}  // namespace tintype
