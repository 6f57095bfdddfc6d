// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "devices/console_log.h"
#include "devices/output_buffer.h"
#include "devices/serial.h"
#include "devices/serial_endpoint.h"
#include "vmm/base/event_fd.h"

namespace tintype {

/// The far end of the serial cable: a buffer that vCPU threads fill, and one thread that carries bytes
/// between it, the port and an endpoint of the host. It knows nothing of registers.
///
/// Output. The first byte after a silence is written at once; then what follows is gathered until a line
/// ends, 2 KiB have piled up or a millisecond is over. So a busy guest costs about one wake-up a line, and
/// whoever kills this process with SIGKILL loses no more than about a millisecond of output. When the far end
/// stops reading, 256 KiB are kept, then the port reports a busy transmitter: the guest waits in its own
/// code, where it can still be paused and checkpointed, and nothing is lost. Only a guest that does not look
/// at the transmitter loses output then, and the loss is reported. Endpoints that may lose output (a socket)
/// keep the newest 64 KiB instead.
///
/// Input is offered to the port as it comes; what the port does not take waits, and so, but for a terminal,
/// does its sender. Whoever is attached to the machine from elsewhere types beside the endpoint.
///
/// What was printed is remembered in a log too, whatever the endpoint does with it.
class SerialConsole final : public SerialSink {
 public:
  /// Without an endpoint (`null`) output goes to the log only.
  explicit SerialConsole(std::unique_ptr<SerialEndpoint> endpoint);
  ~SerialConsole() override;

  /// Starts the thread. `port` must live until stop().
  void start(SerialPort& port);
  /// Writes out what is left (giving up where the far end takes nothing for a second), puts a terminal back,
  /// ends the thread. Idempotent. Not to be called on the console's own thread (`on_leave`).
  void stop() noexcept;

  ConsoleLog& log() noexcept { return log_; }
  const ConsoleLog& log() const noexcept { return log_; }
  /// Input from elsewhere than the endpoint; returns how many bytes, from the front, there was room for. Any thread.
  std::size_t type(std::span<const std::uint8_t> keys) noexcept;

  bool put(std::uint8_t byte) noexcept override;
  void receive_room() noexcept override;
  void want_receive_timeout() noexcept override;

 private:
  using Clock = std::chrono::steady_clock;

  /// Bytes on their way, in the thread's hands only: [done, size) are still to go.
  struct Block {
    std::array<std::uint8_t, 4096> bytes;
    std::size_t done = 0;
    std::size_t size = 0;
    bool empty() const noexcept { return done == size; }
    std::span<const std::uint8_t> rest() const noexcept { return {bytes.data() + done, size - done}; }
  };
  /// What the thread is to wait for next.
  struct Waits {
    bool output_ready = false;
    std::optional<Clock::time_point> until;
    void at_most(Clock::time_point when) noexcept { until = until ? std::min(*until, when) : when; }
  };

  void run() noexcept;
  void pump_output(Waits& waits) noexcept;
  bool fill_block(Waits& waits) noexcept;
  bool write_block() noexcept;
  void read_input() noexcept;
  void take_typed() noexcept;
  void pump_input() noexcept;
  void pump_timeout(Waits& waits) noexcept;
  bool wants_input() const noexcept;
  void wait(const Waits& waits) noexcept;
  void drain() noexcept;
  void report_losses() noexcept;

  std::unique_ptr<SerialEndpoint> endpoint_;
  std::optional<OutputBuffer> buffer_;  ///< none where output goes nowhere
  ConsoleLog log_;
  EventFd bell_;  ///< wakes the thread
  std::atomic<bool> stopping_ = false;
  std::atomic<bool> has_receive_room_ = false;
  std::atomic<bool> wants_timeout_ = false;
  std::mutex typed_mutex_;
  std::string typed_;  ///< under typed_mutex_

  // The thread's own.
  SerialPort* port_ = nullptr;
  Block output_;
  Block input_;
  bool port_is_full_ = false;
  Clock::time_point next_write_{};  ///< before it, only an ended line or a pile of bytes is written
  std::optional<Clock::time_point> timeout_due_;

  std::thread thread_;  ///< last: it uses all of the above
};

}  // namespace tintype
