// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "vmm/machine/inspector.h"

namespace tintype {

/// A buffer of a chain, as the driver describes it.
struct ViewedBuffer {
  std::uint64_t address = 0;
  std::uint32_t length = 0;
  bool writable = false;  ///< by the device
};

/// A chain of descriptors: a request.
struct ViewedChain {
  std::uint16_t head = 0;
  std::vector<ViewedBuffer> buffers;
  std::string request;  ///< of a disk: "write at sector 2048"; empty where it is not known
  std::string problem;  ///< why the chain ends here, against the rules; empty where it does not
};

/// A virtqueue from both sides: what the device has noted, and what lies in guest memory.
struct ViewedQueue {
  std::uint16_t available_index = 0;   ///< of the driver: it has made so many chains available
  std::uint16_t used_index = 0;        ///< what the driver sees: it was given so many back
  std::vector<ViewedChain> in_flight;  ///< taken by the device and not given back
  std::vector<ViewedChain> waiting;    ///< made available and not yet taken
  std::string problem;                 ///< why there is no more to see
};

/// Looks into a queue that is ready. Everything in it is the guest's, and may be anything: what is shown is bounded.
ViewedQueue view_queue(const ReadPhysical& memory, const InspectedDevice& device, const VirtioQueueStateV1& queue);

}  // namespace tintype
