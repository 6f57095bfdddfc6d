// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "devices/serial.h"
#include "devices/serial_console.h"
#include "vmm/base/unique_fd.h"

namespace tintype {

/// Polls until it holds; false where the limit is reached first.
inline bool wait_for(const std::function<bool()>& condition,
                     std::chrono::milliseconds limit = std::chrono::seconds(30)) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::microseconds(200));
  }
  return true;
}

/// A port that takes up to `capacity` bytes of input until read().
class FakePort final : public SerialPort {
 public:
  explicit FakePort(SerialSink& sink) : sink_(sink) {}

  std::size_t receive(std::span<const std::uint8_t> bytes) noexcept override {
    const std::lock_guard lock(mutex_);
    const std::size_t taken = std::min(bytes.size(), capacity - held_);
    all_.append(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(taken));
    held_ += taken;
    return taken;
  }
  void transmit_room() noexcept override { ++room_calls; }
  void receive_timeout() noexcept override { ++timeout_calls; }

  /// The guest reads what is there.
  void read() {
    {
      const std::lock_guard lock(mutex_);
      held_ = 0;
    }
    sink_.receive_room();
  }
  std::string received() {
    const std::lock_guard lock(mutex_);
    return all_;
  }

  std::size_t capacity = 1 << 20;
  std::atomic<unsigned> room_calls = 0;
  std::atomic<unsigned> timeout_calls = 0;

 private:
  SerialSink& sink_;
  std::mutex mutex_;
  std::string all_;
  std::size_t held_ = 0;
};

struct Pipe {
  UniqueFd reader, writer;
  Pipe() {
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    reader.reset(ends[0]);
    writer.reset(ends[1]);
  }
};

/// Prints as a guest does that looks at the transmitter before each FIFO's worth; false where it never became
/// free.
inline bool print_politely(SerialConsole& console, FakePort& port, std::string_view text) {
  for (const char c : text) {
    const unsigned seen = port.room_calls;
    if (console.put(static_cast<std::uint8_t>(c))) continue;
    if (!wait_for([&] { return port.room_calls != seen; })) return false;
  }
  return true;
}

inline void print(SerialConsole& console, std::string_view text) {
  for (const char c : text) console.put(static_cast<std::uint8_t>(c));
}

/// What comes out within the limit, at most `size` bytes.
inline std::string read_some(int fd, std::size_t size, std::chrono::milliseconds limit = std::chrono::seconds(30)) {
  std::string text;
  const auto end = std::chrono::steady_clock::now() + limit;
  while (text.size() < size && std::chrono::steady_clock::now() < end) {
    pollfd polled{.fd = fd, .events = POLLIN, .revents = 0};
    if (::poll(&polled, 1, 10) == 0) continue;
    char buffer[4096];
    const auto count = ::read(fd, buffer, std::min(sizeof buffer, size - text.size()));
    if (count <= 0) break;
    text.append(buffer, static_cast<std::size_t>(count));
  }
  return text;
}

inline std::string numbered_lines(unsigned count) {
  std::string text;
  for (unsigned i = 0; i < count; ++i) text += fmt::format("line {} of the guest's output\n", i);
  return text;
}

}  // namespace tintype
