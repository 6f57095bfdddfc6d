// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace tintype {

// The cable between a serial port and whatever is at its other end. Neither side knows what the other is.
// Calls from the port to the sink are made under the port's lock, so the sink takes only locks of its own in
// them and never calls back from within.

/// The far end, as the port sees it. Called on vCPU threads, one call at a time, and never blocks.
class SerialSink {
 public:
  virtual ~SerialSink() = default;
  /// Takes a byte of the guest's output. False where there may be no room for a FIFO's worth (16 bytes) after
  /// it: the port then calls itself busy until transmit_room() is called on it. A guest that writes on
  /// regardless loses what does not fit.
  virtual bool put(std::uint8_t byte) noexcept = 0;
  /// The port can take input again, after a receive() that took less than it was offered.
  virtual void receive_room() noexcept = 0;
  /// The port would like receive_timeout() called on it in about a millisecond: the guest has left bytes in
  /// the FIFO.
  virtual void want_receive_timeout() noexcept = 0;
};

/// The port, as the far end sees it. Any thread.
class SerialPort {
 public:
  virtual ~SerialPort() = default;
  /// Offers input; returns how many bytes, from the front, were taken. Where that is less than all,
  /// receive_room() follows later.
  virtual std::size_t receive(std::span<const std::uint8_t> bytes) noexcept = 0;
  /// There is room for output again, after a put() that returned false.
  virtual void transmit_room() noexcept = 0;
  /// The time asked for by want_receive_timeout() has passed.
  virtual void receive_timeout() noexcept = 0;
};

}  // namespace tintype
