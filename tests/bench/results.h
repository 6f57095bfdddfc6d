// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "tests/bench/sample.h"

namespace tintype::test {

/// All captures of one workload by one contender.
struct Series {
  std::string workload, contender;
  std::vector<Sample> samples;

  /// One figure of each capture; those that are unknown are left out.
  template <typename Figure>
  std::vector<double> each(Figure figure) const {
    std::vector<double> values;
    for (const Sample& sample : samples)
      if (const double value = figure(sample); value != kUnknown) values.push_back(value);
    return values;
  }
  std::vector<double> pauses_us() const;
  std::vector<double> lost_ms() const;
  std::vector<double> gaps_us() const;
};

/// What captures are measured against, in turns with them.
struct PlainFigures {
  std::vector<double> capture_ms;  ///< until durable ...
  std::vector<double> write_ms;    ///< ... and a plain write and fdatasync of as many bytes
  std::vector<double> memcpy_ms;   ///< one copy of the memory that is swept
};

/// Pauses of full captures of a guest with so much memory.
struct PauseBySize {
  int mib = 0;
  std::string strategy;
  std::vector<double> pauses_us;
};

/// Full captures of a guest that writes to so much all the time.
struct CostBySet {
  int hot_mib = 0;
  std::vector<double> memcpy_ms = {};  ///< one copy of that, in turns with them
  std::vector<Series> series = {};     ///< one of each contender; of all sizes the same, in the same order
};

/// Incremental checkpoints back to back, or at a pace.
struct Incremental {
  std::string workload;
  std::vector<double> total_ms, memory_bytes, pauses_us;
  double bytes_each = 0;      ///< all files of a checkpoint, on average
  double asked_a_second = 0;  ///< 0: as many as there come
  double a_second = 0;
  double guest_speed = 0;  ///< meanwhile, as a share of the undisturbed one
};

/// The guest's work over time, while it is captured once.
struct Timeline {
  std::string contender;
  GuestCost cost;
};

struct Results {
  std::string strategy;  ///< the one that the goals are for
  std::vector<Series> series;
  PlainFigures plain;
  std::vector<PauseBySize> by_size;
  std::vector<CostBySet> by_set;
  std::vector<Incremental> incremental, paced;
  std::vector<double> resident_mib;  ///< beyond the guest's memory, between captures
  std::vector<Timeline> timelines;

  /// Made where it is missing.
  Series& of(const std::string& workload, const std::string& contender);
  /// nullptr where it was not measured.
  const Series* find(const std::string& workload, const std::string& contender) const;
};

}  // namespace tintype::test
