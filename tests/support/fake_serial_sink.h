// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>

#include "devices/serial.h"

namespace tintype {

/// The far end of a cable that writes down what a port says. Holds `capacity` bytes until drain().
class FakeSerialSink final : public SerialSink {
 public:
  bool put(std::uint8_t byte) noexcept override {
    if (held < capacity) {
      text += static_cast<char>(byte);
      ++held;
    }
    return capacity - held >= 16;
  }
  void receive_room() noexcept override { ++room_calls; }
  void want_receive_timeout() noexcept override { ++timeout_calls; }

  /// Everything held has been written out; the test then calls transmit_room() on the port.
  void drain() noexcept { held = 0; }

  std::string text;
  std::size_t capacity = static_cast<std::size_t>(-1);
  std::size_t held = 0;
  unsigned room_calls = 0;
  unsigned timeout_calls = 0;
};

}  // namespace tintype
