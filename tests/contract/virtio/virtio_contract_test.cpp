// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "devices/virtio/rng.h"
#include "devices/virtio/spec.h"
#include "tests/support/bus_access.h"
#include "tests/support/state_contract.h"
#include "tests/support/virtio_blk_rig.h"

namespace tintype {
namespace {

using namespace virtio;

struct BlkFixture : VirtioBlkRig {
  BlkFixture() { backend.hold(); }
  MmioTransport& thing() { return transport; }
};

struct RngFixture {
  GuestMemory memory{1 << 20};
  FakeIrqLine irq;
  VirtioRng rng;
  MmioTransport transport{"rng0", memory, irq, rng};
  MockDriver driver{transport, memory};
  MmioTransport& thing() { return transport; }
};

/// What any driver of any device does. The two fixtures differ in their device only.
template <typename Fixture>
std::vector<typename StateContract<Fixture>::Change> driver_changes() {
  return {
      {"a driver looks at the features", [](Fixture& f) { f.driver.offered_features(); }},
      {"and at a queue that does not exist", [](Fixture& f) { f.driver.write(kQueueSel, 5); }},
      {"the configuration changes", [](Fixture& f) { f.transport.config_changed(); }},
      {"the driver starts", [](Fixture& f) { REQUIRE(f.driver.start()); }},
      {"the configuration changes again", [](Fixture& f) { f.transport.config_changed(); }},
  };
}

/// A device has one transport, and as many queues as its kind has.
const std::set<std::string> kConstant = {"transport", "transport.queues"};

const std::vector<RefusedValue> kRefused = {
    {"transport.status", std::uint64_t{0x100}},
    {"transport.status", std::uint64_t{kStatusDriverOk}},
    {"transport.interrupt_status", std::uint64_t{4}},
    {"transport.driver_features", std::uint64_t{0}},
    {"transport.driver_features", ~std::uint64_t{0}},
    {"transport.queues.ready", std::uint64_t{2}},
    {"transport.queues.size", std::uint64_t{3}},
    {"transport.queues.size", std::uint64_t{1} << 32},
    {"transport.queues.descriptors", std::uint64_t{8}},
    {"transport.queues.available", ~std::uint64_t{1}},
    {"transport.queues.used", std::uint64_t{1} << 40},
    {"transport.queues.next_available", std::uint64_t{9}},
    {"transport.queues.next_used", std::uint64_t{1} << 16},
    {"transport.queues.in_flight", StateBytes{1}},
    {"transport.queues.in_flight", StateBytes{99, 0}},
    {"transport.queues.in_flight", StateBytes{1, 0, 1, 0, 1, 0}},
};

}  // namespace

TEST_CASE("virtio-blk: state contract, with requests in flight") {
  StateContract<BlkFixture> contract;
  contract.changes = driver_changes<BlkFixture>();
  contract.changes.push_back({"requests go to the host", [](BlkFixture& f) {
                                f.read_chain(0, 512).offer();
                                f.write_chain(1, pattern(512, 1)).offer();
                                f.kick();
                              }});
  contract.changes.push_back({"one of them is done", [](BlkFixture& f) {
                                f.serve();
                                f.backend.finish(f.backend.pending() - 1);
                                f.serve();
                              }});
  contract.changes.push_back({"the driver switches the cache off", [](BlkFixture& f) {
                                bus_out(f.transport, kConfig + offsetof(BlkConfig, writeback), 0);
                              }});
  contract.refused = kRefused;
  contract.refused.push_back({"block_size", std::uint64_t{4096}});
  contract.refused.push_back({"writeback", std::uint64_t{2}});
  contract.refused.push_back({"capacity", std::uint64_t{kRigDisk + 512}});
  contract.refused.push_back({"read_only", std::uint64_t{1}});
  contract.refused.push_back({"serial", StateBytes{'x'}});
  contract.constant = kConstant;
  contract.constant.insert(
      {"block_size", "capacity", "read_only", "serial"});  // of the disk that was given, which does not change
  contract.verify();
}

TEST_CASE("virtio-rng: state contract") {
  StateContract<RngFixture> contract;
  contract.changes = driver_changes<RngFixture>();
  contract.changes.push_back({"the driver takes entropy", [](RngFixture& f) {
                                f.driver.queue().chain().writable(8).offer();
                                f.driver.kick();
                                f.transport.serve_everything();
                              }});
  contract.refused = kRefused;
  contract.constant = kConstant;
  contract.constant.insert("transport.queues.in_flight");  // entropy is given at once
  contract.verify();
}

}  // namespace tintype
