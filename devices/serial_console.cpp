// SPDX-License-Identifier: Apache-2.0
#include "devices/serial_console.h"

#include <poll.h>

#include <algorithm>
#include <new>

#include "vmm/base/error.h"
#include "vmm/base/log.h"
#include "vmm/base/thread.h"

namespace tintype {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kHeldBytes = 256 << 10;
constexpr std::size_t kRememberedBytes = 64 << 10;
constexpr auto kGatherTime = 1ms;
constexpr auto kReceiveTimeout = 1ms;  // the chip's four characters at 38400 baud
constexpr auto kDrainPatience = 1s;
constexpr std::size_t kTypedBytes = 4096;

/// Nobody is there.
class NullEndpoint final : public SerialEndpoint {
 public:
  int output_fd() const noexcept override { return -1; }
  std::size_t write(std::span<const std::uint8_t> bytes) noexcept override { return bytes.size(); }
};

timespec to_timespec(std::chrono::nanoseconds time) noexcept {
  return {.tv_sec = time / 1s, .tv_nsec = (time % 1s).count()};
}

}  // namespace

SerialConsole::SerialConsole(std::unique_ptr<SerialEndpoint> endpoint) : endpoint_(std::move(endpoint)) {
  if (!endpoint_) {
    endpoint_ = std::make_unique<NullEndpoint>();
  } else if (endpoint_->may_lose_output()) {
    buffer_.emplace(kRememberedBytes, OutputBuffer::WhenFull::kDropOldest);
  } else {
    buffer_.emplace(kHeldBytes, OutputBuffer::WhenFull::kHoldSender);
  }
}

SerialConsole::~SerialConsole() { stop(); }

void SerialConsole::start(SerialPort& port) {
  check(port_ == nullptr, "a serial console is started once");
  port_ = &port;
  endpoint_->start();
  thread_ = std::thread([this] { run(); });
}

void SerialConsole::stop() noexcept {
  if (!thread_.joinable()) return;
  stopping_ = true;
  bell_.signal();
  thread_.join();
  endpoint_.reset();  // puts a terminal back
}

// --- called by the port, on vCPU threads ---

bool SerialConsole::put(std::uint8_t byte) noexcept {
  log_.append(byte);
  if (!buffer_) return true;
  const OutputBuffer::Put result = buffer_->put(byte);
  if (result.wake) bell_.signal();
  return result.room;
}

void SerialConsole::receive_room() noexcept {
  has_receive_room_ = true;
  bell_.signal();
}

void SerialConsole::want_receive_timeout() noexcept {
  wants_timeout_ = true;
  bell_.signal();
}

// --- called by whoever is attached ---

std::size_t SerialConsole::type(std::span<const std::uint8_t> keys) noexcept {
  const std::lock_guard lock(typed_mutex_);
  const std::size_t taken = std::min(keys.size(), kTypedBytes - std::min(kTypedBytes, typed_.size()));
  try {
    typed_.append(keys.begin(), keys.begin() + static_cast<std::ptrdiff_t>(taken));
  } catch (const std::bad_alloc&) {
    return 0;
  }
  bell_.signal();
  return taken;
}

// --- the console's thread ---

void SerialConsole::run() noexcept {
  name_this_thread("serial");
  block_signals_in_this_thread();
  while (!stopping_) {
    Waits waits;
    pump_output(waits);
    pump_input();
    pump_timeout(waits);
    wait(waits);
  }
  drain();
  report_losses();
}

void SerialConsole::pump_output(Waits& waits) noexcept {
  if (!buffer_) return;
  for (;;) {
    if (output_.empty() && !fill_block(waits)) return;
    if (endpoint_->output_fd() < 0) return;  // the client has gone; the next gets the rest
    if (!write_block()) {
      waits.output_ready = true;
      return;
    }
  }
}

/// Takes the next bytes, where it is time to write any. If not, says what to wait for.
bool SerialConsole::fill_block(Waits& waits) noexcept {
  if (endpoint_->output_fd() < 0) return false;
  const bool is_gathering = Clock::now() < next_write_;
  if (is_gathering && buffer_->arm(OutputBuffer::Wake::kUrgent)) {
    waits.at_most(next_write_);
    return false;
  }
  output_.done = 0;
  output_.size = buffer_->take(output_.bytes);
  if (buffer_->take_room_notice()) port_->transmit_room();
  if (!output_.empty()) return true;
  return !buffer_->arm(OutputBuffer::Wake::kAnyByte) && fill_block(waits);
}

/// False where the far end takes nothing now.
bool SerialConsole::write_block() noexcept {
  const std::size_t written = endpoint_->write(output_.rest());
  output_.done += written;
  if (output_.empty()) next_write_ = Clock::now() + kGatherTime;
  return written > 0;
}

bool SerialConsole::wants_input() const noexcept { return input_.empty() || endpoint_->reads_ahead(); }

void SerialConsole::read_input() noexcept {
  if (input_.empty()) {
    input_.done = 0;
    input_.size = endpoint_->read(input_.bytes);
  } else {
    std::array<std::uint8_t, 256> excess;  // typed faster than the guest reads, for pages: only our own commands count
    endpoint_->read(excess);
  }
}

/// Keys from elsewhere come when those before have gone.
void SerialConsole::take_typed() noexcept {
  if (!input_.empty()) return;
  const std::lock_guard lock(typed_mutex_);
  input_.done = 0;
  input_.size = std::min(typed_.size(), input_.bytes.size());
  std::copy_n(typed_.begin(), input_.size, input_.bytes.begin());
  typed_.erase(0, input_.size);
}

void SerialConsole::pump_input() noexcept {
  if (has_receive_room_.exchange(false)) port_is_full_ = false;
  for (take_typed(); !input_.empty() && !port_is_full_; take_typed()) {
    port_is_full_ = true;  // before the offer: the port's answer that it has room again may come at once
    input_.done += port_->receive(input_.rest());
    if (input_.empty() || has_receive_room_.exchange(false)) port_is_full_ = false;
  }
}

void SerialConsole::pump_timeout(Waits& waits) noexcept {
  const auto now = Clock::now();
  if (wants_timeout_.exchange(false)) timeout_due_ = now + kReceiveTimeout;
  if (!timeout_due_) return;
  if (now < *timeout_due_) return waits.at_most(*timeout_due_);
  timeout_due_.reset();
  port_->receive_timeout();
}

void SerialConsole::wait(const Waits& waits) noexcept {
  std::array<pollfd, 4> polled = {{
      {.fd = bell_.fd(), .events = POLLIN, .revents = 0},
      {.fd = wants_input() ? endpoint_->input_fd() : -1, .events = POLLIN, .revents = 0},
      {.fd = waits.output_ready ? endpoint_->output_fd() : -1, .events = POLLOUT, .revents = 0},
      {.fd = endpoint_->accept_fd(), .events = POLLIN, .revents = 0},
  }};
  timespec timeout{};
  if (waits.until) timeout = to_timespec(std::max(Clock::duration::zero(), *waits.until - Clock::now()));
  const int ready = ::ppoll(polled.data(), polled.size(), waits.until ? &timeout : nullptr, nullptr);
  if (ready <= 0) return;
  if (polled[0].revents != 0) bell_.take();
  if (polled[1].revents != 0) read_input();
  if (polled[3].revents != 0) endpoint_->accept();
}

/// The last output, as long as somebody takes it.
void SerialConsole::drain() noexcept {
  if (!buffer_) return;
  auto give_up = Clock::now() + kDrainPatience;
  while (endpoint_->output_fd() >= 0) {
    if (output_.empty()) {
      output_.done = 0;
      output_.size = buffer_->take(output_.bytes);
      if (output_.empty()) return;
    }
    if (write_block()) {
      give_up = Clock::now() + kDrainPatience;
    } else if (Clock::now() >= give_up) {
      return;
    } else {
      pollfd polled{.fd = endpoint_->output_fd(), .events = POLLOUT, .revents = 0};
      ::poll(&polled, 1, 50);
    }
  }
}

void SerialConsole::report_losses() noexcept {
  if (!buffer_ || endpoint_->may_lose_output()) return;
  std::uint64_t lost = buffer_->take_dropped() + output_.rest().size();
  for (std::size_t taken = buffer_->take(output_.bytes); taken > 0; taken = buffer_->take(output_.bytes)) lost += taken;
  if (lost == 0) return;
  try {
    log_note("{} bytes of serial output were lost because its reader did not take them", lost);
  } catch (...) {  // out of memory: the note is the smaller loss
  }
}

}  // namespace tintype
