// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace tintype {

/// What an image has not yet, and somebody else has: the part of it that was never brought in. Bytes, in whole sectors.
/// Any thread.
class AbsentBlocks {
 public:
  virtual ~AbsentBlocks() = default;
  /// Asks nobody and waits for nothing.
  virtual bool is_there(std::uint64_t offset, std::uint64_t length) const noexcept = 0;
  /// Returns when all of it is in the image. Throws where it cannot be read, or written.
  virtual void bring(std::uint64_t offset, std::uint64_t length) = 0;
  /// At or after `offset`: where what is not there begins; nothing where all is.
  virtual std::optional<std::uint64_t> next_absent(std::uint64_t offset) const noexcept = 0;
  virtual std::uint64_t bytes_left() const noexcept = 0;
  /// Nothing is left, durably, and nobody writes to the image any more to bring something in.
  virtual bool is_complete() const noexcept { return bytes_left() == 0; }

  /// Whether the image is made whole, in the background, or only ever has what somebody asked for.
  virtual bool becomes_whole() const noexcept = 0;
  /// The image has its name after a power cut too, and says there that it is not whole: until this has returned, nobody
  /// may be told that anything is durable. Throws what keeps it from that; it may be tried again.
  virtual void make_lasting() = 0;

  /// What its thread, which may not be waited for, calls.
  struct Steps {
    std::function<void()> begin;  ///< first; what it throws is tried again
    std::function<void()> whole;  ///< once, when the image is, durably
  };
  /// Begins to make the image whole, where it becomes that.
  virtual void start(Steps steps) = 0;
  /// Waits until it is. What failed is tried once more; throws why it cannot be.
  virtual void finish() = 0;
  /// What failed in the background is tried again now.
  virtual void go_on() noexcept = 0;
  /// Why something could not be brought that has not been since; empty where all could.
  virtual std::string problem() const = 0;
  /// Ends the thread; the image stays as it is.
  virtual void stop() noexcept = 0;
};

}  // namespace tintype
