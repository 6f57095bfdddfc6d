// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <deque>
#include <string>
#include <vector>

#include "vmm/watch/machine_watch.h"

namespace tintype {

/// "10:33:11  checkpoint 3: stood still for 812 us, 1024 pages written, 31 faults, 4M": an event of `tintype events`.
std::string event_text(const nlohmann::json& event);

/// What `tintype watch` shows where it is not on a terminal: a line a look, with the words that head its columns.
std::string rate_head();
std::string rate_line(const WatchSample& sample);

/// What a terminal shows of a machine: at most `height` lines of at most `width` columns, the newest event last.
std::vector<std::string> watch_screen(const WatchSample& sample, const std::deque<std::string>& happened,
                                      std::size_t width, std::size_t height);

}  // namespace tintype
