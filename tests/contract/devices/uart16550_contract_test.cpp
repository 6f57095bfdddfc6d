// SPDX-License-Identifier: Apache-2.0
#include "devices/uart16550.h"
#include "tests/support/bus_access.h"
#include "tests/support/fake_irq_line.h"
#include "tests/support/fake_serial_sink.h"
#include "tests/support/state_contract.h"

namespace tintype {

TEST_CASE("uart16550: state contract") {
  struct Fixture {
    FakeIrqLine irq;
    FakeSerialSink sink;
    Uart16550 uart{"uart0", irq, sink};
    Uart16550& thing() { return uart; }
    void out(std::uint64_t at, std::uint8_t value) { bus_out(uart, at, value); }
    void receive(std::size_t count) {
      const std::vector<std::uint8_t> bytes(count, 0x55);
      CHECK(uart.receive(bytes) == count);
    }
  };
  StateContract<Fixture> contract;
  contract.changes = {
      {"divisor", [](Fixture& f) { f.out(3, 0x80), f.out(0, 0x34), f.out(1, 0x12), f.out(3, 0x03); }},
      {"FIFOs on", [](Fixture& f) { f.out(2, 0xc1); }},
      {"interrupts on", [](Fixture& f) { f.out(1, 0x0f); }},
      {"input below the trigger level", [](Fixture& f) { f.receive(3); }},
      {"a byte is read", [](Fixture& f) { CHECK(bus_in(f.uart, 0) == 0x55); }},
      {"loopback, full and overrun",
       [](Fixture& f) {
         f.out(4, 0x12);
         for (int i = 0; i < 20; ++i) f.out(0, static_cast<std::uint8_t>(i));
       }},
      {"the transmit interrupt is taken", [](Fixture& f) { f.out(1, 0x02), bus_in(f.uart, 2); }},
      {"scratch", [](Fixture& f) { f.out(7, 0x99); }},
  };
  contract.refused = {{"divisor", std::uint64_t{0x10000}},      {"interrupt_enable", std::uint64_t{0x10}},
                      {"fifo_control", std::uint64_t{0xc0}},    {"fifo_control", std::uint64_t{0x03}},
                      {"fifo_control", std::uint64_t{0}},       {"modem_control", std::uint64_t{0x20}},
                      {"modem_changes", std::uint64_t{0x10}},   {"overrun", std::uint64_t{2}},
                      {"transmit_interrupt", std::uint64_t{2}}, {"received", StateBytes(17)}};
  contract.verify();
}

TEST_CASE("uart16550: a timeout with nothing waiting is refused") {
  FakeIrqLine irq;
  FakeSerialSink sink;
  const Uart16550 uart("uart0", irq, sink);
  Uart16550StateV1 state{.fifo_control = 0xc1, .receive_timeout = true, .received = {1}};
  CHECK_NOTHROW(uart.check_state(to_record(state)));
  state.received.clear();
  CHECK_THROWS_AS(uart.check_state(to_record(state)), StateError);
}

}  // namespace tintype
