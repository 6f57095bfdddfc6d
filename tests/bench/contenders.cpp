// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/contenders.h"

#include <stdexcept>

#include "tests/bench/qemu_guest.h"
#include "tests/bench/tintype_guest.h"

namespace tintype::test {

namespace {

constexpr int kOurCapturesATurn = 3;

std::vector<Contender> all_contenders() {
  std::vector<Contender> all;
  for (const char* strategy : {"stop", "precopy", "cow", "fork", "hybrid"})
    all.push_back({strategy, true, kOurCapturesATurn, [strategy](const Workload& workload) {
                     return std::make_unique<TintypeGuest>(workload, TintypeGuest::Capture{.strategy = strategy});
                   }});
  for (const bool live : {true, false})
    all.push_back({live ? kQemuLive : kQemuStop, false, 1,
                   [live](const Workload& workload) { return std::make_unique<QemuGuest>(workload, live); }});
  return all;
}

}  // namespace

const std::vector<Contender>& contenders() {
  static const std::vector<Contender> all = all_contenders();
  return all;
}

const Contender& contender(const std::string& name) {
  for (const Contender& one : contenders())
    if (one.name == name) return one;
  throw std::runtime_error("there is no strategy called " + name);
}

void wait_for_work(RunningGuest& guest) {
  // Touching all of a large memory takes its time, above all where page tables are shadowed.
  if (!guest.process().wait_for("WORK", std::chrono::minutes(3)))
    throw std::runtime_error("the guest does not run:\n" + guest.process().transcript());
}

}  // namespace tintype::test
