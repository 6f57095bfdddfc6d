// SPDX-License-Identifier: Apache-2.0
#include "devices/serial_console.h"

#include <doctest/doctest.h>

#include "devices/host_output.h"
#include "devices/uart16550.h"
#include "tests/support/bus_access.h"
#include "tests/support/fake_irq_line.h"
#include "tests/support/serial_rig.h"

namespace tintype {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

/// The two ends of a pipe as an endpoint, by the same HostOutput that standard output uses.
class PipeEndpoint final : public SerialEndpoint {
 public:
  PipeEndpoint(int input, int output) : input_(input), output_(output, "the test's pipe") {}
  int input_fd() const noexcept override { return input_; }
  int output_fd() const noexcept override { return output_.fd(); }
  std::size_t read(std::span<std::uint8_t> into) noexcept override {
    const auto count = ::read(input_, into.data(), into.size());
    if (count <= 0) input_ = -1;
    return count > 0 ? static_cast<std::size_t>(count) : 0;
  }
  std::size_t write(std::span<const std::uint8_t> bytes) noexcept override { return output_.write(bytes); }

 private:
  int input_;
  HostOutput output_;
};

struct PipeConsole {
  Pipe in, out;
  SerialConsole console{std::make_unique<PipeEndpoint>(in.reader.get(), out.writer.get())};
  FakePort port{console};
};

}  // namespace

TEST_CASE_FIXTURE(PipeConsole, "serial console: a single byte without a newline arrives in about a millisecond") {
  console.start(port);
  std::this_thread::sleep_for(20ms);
  auto best = Clock::duration::max();  // the worst is the machine's, not ours
  for (int i = 0; i < 20; ++i) {
    const auto start = Clock::now();
    print(console, "x");
    REQUIRE(read_some(out.reader.get(), 1) == "x");
    best = std::min(best, Clock::now() - start);
    if (i % 2 == 0) std::this_thread::sleep_for(3ms);
  }
  CHECK(best < 50ms);
}

TEST_CASE_FIXTURE(PipeConsole, "serial console: a megabyte through a slow reader is complete and in order") {
  console.start(port);
  const std::string text = numbered_lines(32'000);
  std::string seen;
  std::thread reader([&] {
    std::this_thread::sleep_for(50ms);
    seen = read_some(out.reader.get(), text.size(), 30s);
  });
  CHECK(print_politely(console, port, text));
  reader.join();
  CHECK((seen == text));
}

TEST_CASE_FIXTURE(PipeConsole, "serial console: stop() writes out the last bytes, newline or not") {
  console.start(port);
  print(console, "first line\nthe rest, without an end");
  console.stop();
  CHECK(read_some(out.reader.get(), 35) == "first line\nthe rest, without an end");
}

TEST_CASE_FIXTURE(PipeConsole, "serial console: output from before start() is not lost") {
  print(console, "early\n");
  console.start(port);
  CHECK(read_some(out.reader.get(), 6) == "early\n");
}

TEST_CASE_FIXTURE(PipeConsole,
                  "serial console: a reader that never reads blocks neither the vCPU nor stop() for long") {
  console.start(port);
  const auto start = Clock::now();
  print(console, numbered_lines(40'000));
  CHECK(Clock::now() - start < 20s);
  CHECK_FALSE(console.put('x'));
  console.stop();
  CHECK(Clock::now() - start < 40s);
}

TEST_CASE_FIXTURE(PipeConsole, "serial console: a reader that has gone does not kill the machine") {
  console.start(port);
  out.reader.reset();
  print(console, "into the void\n");
  std::this_thread::sleep_for(20ms);
  CHECK(print_politely(console, port, numbered_lines(20'000)));
}

TEST_CASE_FIXTURE(PipeConsole, "serial console: the pipe stays blocking for the programs that share it") {
  console.start(port);
  print(console, "x\n");
  read_some(out.reader.get(), 2);
  CHECK((::fcntl(out.writer.get(), F_GETFL) & O_NONBLOCK) == 0);
}

TEST_CASE_FIXTURE(
    PipeConsole, "serial console: input waits for a port that is full, nothing lost, and ends at the end of the pipe") {
  port.capacity = 16;
  console.start(port);
  const std::string text = numbered_lines(60);
  std::thread writer([&] {
    CHECK(::write(in.writer.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
    in.writer.reset();
  });
  CHECK(wait_for([&] {
    port.read();
    return port.received().size() >= text.size();
  }));
  writer.join();
  CHECK((port.received() == text));
  print(console, "still here\n");
  CHECK(read_some(out.reader.get(), 11) == "still here\n");
}

TEST_CASE_FIXTURE(PipeConsole, "serial console: the port's wish for a timeout is granted, once") {
  console.start(port);
  console.want_receive_timeout();
  CHECK(wait_for([&] { return port.timeout_calls > 0; }));
  std::this_thread::sleep_for(10ms);
  CHECK(port.timeout_calls == 1);
}

TEST_CASE(
    "serial port and console: printing, typing and checkpoints at once lose and reorder nothing in either "
    "direction") {
  Pipe in, out;
  SerialConsole console(std::make_unique<PipeEndpoint>(in.reader.get(), out.writer.get()));
  FakeIrqLine irq;
  Uart16550 uart("uart0", irq, console);
  console.start(uart);
  bus_out(uart, 2, 0xc1);
  bus_out(uart, 1, 0x01);
  const std::string printed = numbered_lines(5000), typed = numbered_lines(10);
  std::mutex parked;  // held by a vCPU while it runs, by the checkpoint while it is frozen
  std::atomic<bool> done = false;
  std::string seen, read;

  std::thread printer([&] {
    for (std::size_t at = 0; at < printed.size();) {
      const std::lock_guard running(parked);
      if ((bus_in(uart, 5) & 0x20) == 0) continue;
      for (const std::size_t end = std::min(at + 16, printed.size()); at < end; ++at) {
        bus_out(uart, 0, static_cast<std::uint8_t>(printed[at]));
      }
    }
  });
  std::thread reader([&] {
    while (read.size() < typed.size() && !done) {
      const std::lock_guard running(parked);
      if (irq.asserted()) read += static_cast<char>(bus_in(uart, 0));  // a byte an interrupt: leans on the timeout
    }
  });
  std::thread checkpoints([&] {
    while (!done) {
      {
        const std::lock_guard pause(parked);
        uart.freeze();
        const StateRecord first = uart.save_state();
        std::this_thread::sleep_for(200us);
        CHECK(uart.save_state() == first);
        uart.thaw();
      }
      std::this_thread::sleep_for(1ms);
    }
  });
  std::thread typist([&] { CHECK(::write(in.writer.get(), typed.data(), typed.size()) == ssize_t(typed.size())); });
  seen = read_some(out.reader.get(), printed.size(), 60s);
  wait_for(
      [&] {
        const std::lock_guard pause(parked);
        return read.size() >= typed.size();
      },
      60s);
  done = true;
  for (std::thread* thread : {&printer, &reader, &checkpoints, &typist}) thread->join();
  CHECK((seen == printed));
  CHECK((read == typed));
}

TEST_CASE("serial console: with no endpoint the guest prints for ever and nobody waits") {
  SerialConsole console(nullptr);
  FakePort port(console);
  console.start(port);
  bool waited = false;
  for (int i = 0; i < 1'000'000; ++i) waited |= !console.put('x');
  CHECK_FALSE(waited);
  console.stop();
}

}  // namespace tintype
