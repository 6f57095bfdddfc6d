// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/resident.h"

#include <cstdio>
#include <fstream>
#include <string>

namespace tintype::test {

double resident_beyond_guest_mib(pid_t pid, std::uint64_t guest_bytes) {
  std::ifstream smaps("/proc/" + std::to_string(pid) + "/smaps");
  double sum_kib = 0;
  bool guest = false;
  for (std::string line; std::getline(smaps, line);) {
    unsigned long start = 0, end = 0;
    double resident_kib = 0;
    if (std::sscanf(line.c_str(), "%lx-%lx ", &start, &end) == 2) guest = end - start >= guest_bytes;
    if (std::sscanf(line.c_str(), "Rss: %lf kB", &resident_kib) == 1 && !guest) sum_kib += resident_kib;
  }
  return sum_kib / 1024;
}

}  // namespace tintype::test
