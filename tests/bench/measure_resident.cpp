// SPDX-License-Identifier: Apache-2.0
#include <thread>

#include "tests/bench/measurements.h"
#include "tests/bench/resident.h"
#include "tests/bench/tintype_guest.h"

namespace tintype::test {

namespace {
constexpr auto kSettled = std::chrono::seconds(4);  // what is kept for a next capture at once is given back by then
constexpr int kCaptures = 3;
}  // namespace

void measure_resident(Results& results, Place& place) {
  TintypeGuest guest(workloads().front(), {.strategy = results.strategy});
  for (int i = 0; i < kCaptures; ++i) {
    const std::filesystem::path destination = place.unused();
    guest.capture(destination);
    std::filesystem::remove_all(destination);
    std::this_thread::sleep_for(kSettled);
    results.resident_mib.push_back(resident_beyond_guest_mib(guest.process().pid(), std::uint64_t{1} << 30));
  }
}

}  // namespace tintype::test
