// SPDX-License-Identifier: Apache-2.0
#include "devices/uart16550.h"

#include <string_view>

#include <doctest/doctest.h>

#include "tests/support/bus_access.h"
#include "tests/support/fake_irq_line.h"
#include "tests/support/fake_serial_sink.h"

namespace tintype {
namespace {

enum : std::uint64_t { kData, kIer, kIir, kLcr, kMcr, kLsr, kMsr, kScr };  // the datasheet's names
constexpr std::uint64_t kFcr = kIir;

struct UartFixture {
  FakeIrqLine irq;
  FakeSerialSink sink;
  Uart16550 uart{"uart0", irq, sink};

  std::uint8_t in(std::uint64_t at) { return bus_in(uart, at); }
  void out(std::uint64_t at, std::uint8_t value) { bus_out(uart, at, value); }
  std::size_t type(std::string_view text) {
    return uart.receive({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
  }
  std::string read_all() {
    std::string text;
    while ((in(kLsr)&1) != 0) text += static_cast<char>(in(kData));
    return text;
  }
};

}  // namespace

TEST_CASE_FIXTURE(UartFixture, "uart16550: Linux's autoconfig takes it for a 16550A and for nothing fancier") {
  out(kIer, 0x00);
  CHECK((in(kIer)&0x0f) == 0x00);
  out(kIer, 0x0f);
  CHECK(in(kIer) == 0x0f);
  out(kIer, 0xff);
  CHECK(in(kIer) == 0x0f);  // no sleep, no UUE: neither 16750 nor XScale
  out(kIer, 0x00);
  out(kMcr, 0x1a);
  CHECK((in(kMsr)&0xf0) == 0x90);
  out(kMcr, 0x00);
  out(kLcr, 0xbf);
  out(kFcr, 0x00);
  out(kLcr, 0x00);
  out(kFcr, 0x01);
  CHECK((in(kIir) >> 6) == 3);
  out(kLcr, 0x80);
  CHECK(in(kIir) != 0);  // EFR of a 16650 reads 0
  out(kFcr, 0x21);
  CHECK((in(kIir) >> 5) == 6);  // 64-byte FIFO of a 16750
  out(kLcr, 0x00);
  out(kFcr, 0x00);
  CHECK((in(kIir) >> 6) == 0);
}

TEST_CASE_FIXTURE(UartFixture,
                  "uart16550: in loopback the FIFO holds exactly 16 bytes, so that a driver measures it right") {
  out(kFcr, 0x07);
  out(kMcr, 0x10);
  for (int i = 0; i < 256; ++i) out(kData, static_cast<std::uint8_t>(i));
  CHECK((in(kLsr)&0x03) == 0x03);  // data, and an overrun
  CHECK((in(kLsr)&0x02) == 0);     // reading has cleared it
  CHECK(read_all().size() == 16);
  CHECK(sink.text.empty());
}

TEST_CASE_FIXTURE(UartFixture,
                  "uart16550: in loopback the modem lines are the port's own, and their changes are seen once") {
  out(kMcr, 0x10);
  in(kMsr);
  out(kMcr, 0x1f);
  CHECK(in(kMsr) == 0xfb);  // all on; the ring's beginning is no change
  CHECK(in(kMsr) == 0xf0);
  out(kMcr, 0x1b);
  CHECK(in(kMsr) == 0xb4);  // its end is
}

TEST_CASE_FIXTURE(UartFixture,
                  "uart16550: a driver that waits for the transmit interrupt gets it on enabling, and again "
                  "after it was enabled anew") {
  CHECK_FALSE(irq.asserted());
  out(kIer, 0x02);
  CHECK(irq.asserted());
  CHECK((in(kIir)&0x0f) == 0x02);
  CHECK_FALSE(irq.asserted());  // reading the identity took it
  CHECK((in(kIir)&0x0f) == 0x01);
  out(kIer, 0x02);  // no change: no interrupt
  CHECK_FALSE(irq.asserted());
  out(kIer, 0x00);
  out(kIer, 0x02);
  CHECK(irq.asserted());
}

TEST_CASE_FIXTURE(UartFixture,
                  "uart16550: each refill of the transmitter is answered by an interrupt edge, or the driver "
                  "sends no more") {
  out(kIer, 0x02);
  for (unsigned round = 1; round <= 3; ++round) {
    CHECK(irq.edges() == round);
    CHECK((in(kIir)&0x0f) == 0x02);
    for (const char c : std::string_view("sixteen bytes ok")) out(kData, static_cast<std::uint8_t>(c));
  }
  CHECK(sink.text.size() == 48);
}

TEST_CASE_FIXTURE(UartFixture, "uart16550: the transmit interrupt is not lost while a more urgent one hides it") {
  out(kFcr, 0x01);
  out(kIer, 0x03);
  type("x");
  CHECK((in(kIir)&0x0f) == 0x04);
  CHECK((in(kIir)&0x0f) == 0x04);
  in(kData);
  CHECK((in(kIir)&0x0f) == 0x02);
}

TEST_CASE_FIXTURE(UartFixture, "uart16550: without FIFOs one byte at a time is taken, each with its interrupt") {
  out(kIer, 0x01);
  CHECK(type("ab") == 1);
  CHECK(irq.edges() == 1);
  CHECK(in(kData) == 'a');
  CHECK_FALSE(irq.asserted());
  CHECK(sink.room_calls == 1);
  CHECK(type("b") == 1);
  CHECK(irq.edges() == 2);
}

TEST_CASE_FIXTURE(UartFixture, "uart16550: input below the trigger level interrupts as a timeout, at it as data") {
  out(kFcr, 0x81);  // level 8
  out(kIer, 0x01);
  type("abc");
  CHECK(irq.asserted());
  CHECK(in(kIir) == 0xcc);
  type("defgh");
  CHECK(in(kIir) == 0xc4);
  CHECK(read_all() == "abcdefgh");
  CHECK_FALSE(irq.asserted());
  CHECK(in(kIir) == 0xc1);
}

TEST_CASE_FIXTURE(UartFixture,
                  "uart16550: a guest that takes one byte an interrupt gets an edge for what it left, a while later") {
  out(kFcr, 0xc1);
  out(kIer, 0x01);
  type("ab");
  CHECK(irq.edges() == 1);
  CHECK(in(kData) == 'a');
  CHECK_FALSE(irq.asserted());
  CHECK(sink.timeout_calls == 1);
  uart.receive_timeout();
  CHECK(irq.edges() == 2);
  CHECK(in(kData) == 'b');
  uart.receive_timeout();  // late: nothing is left
  CHECK_FALSE(irq.asserted());
}

TEST_CASE_FIXTURE(
    UartFixture,
    "uart16550: a full FIFO refuses input and calls for it once half is read, so that a paste is not lost") {
  out(kFcr, 0x01);
  CHECK(type("0123456789abcdefgh") == 16);
  CHECK(sink.room_calls == 0);
  for (int i = 0; i < 7; ++i) in(kData);
  CHECK(sink.room_calls == 0);
  in(kData);
  CHECK(sink.room_calls == 1);
  CHECK(type("gh") == 2);
  CHECK(read_all() == "89abcdefgh");
  CHECK(sink.room_calls == 1);
}

TEST_CASE_FIXTURE(UartFixture, "uart16550: input during loopback waits outside and is called for afterwards") {
  out(kMcr, 0x10);
  CHECK(type("a") == 0);
  CHECK(sink.room_calls == 0);
  out(kMcr, 0x00);
  CHECK(sink.room_calls == 1);
}

TEST_CASE_FIXTURE(
    UartFixture,
    "uart16550: a sink without room makes the transmitter busy, and room brings the interrupt that was due") {
  sink.capacity = 32;
  out(kIer, 0x02);
  in(kIir);
  for (int i = 0; i < 16; ++i) out(kData, 'x');
  CHECK((in(kLsr)&0x60) == 0x60);
  out(kData, 'y');
  CHECK((in(kLsr)&0x60) == 0);
  CHECK_FALSE(irq.asserted());
  sink.drain();
  uart.transmit_room();
  CHECK((in(kLsr)&0x60) == 0x60);
  CHECK(irq.asserted());
}

TEST_CASE_FIXTURE(UartFixture, "uart16550: frozen, it takes nothing and leaves the pin alone; thawed, it catches up") {
  sink.capacity = 16;
  out(kFcr, 0xc1);
  out(kIer, 0x03);
  in(kIir);
  type("ab");
  in(kData);
  out(kData, 'x');  // busy now
  CHECK_FALSE(irq.asserted());
  uart.freeze();
  const StateRecord before = uart.save_state();
  CHECK(type("c") == 0);
  sink.drain();
  uart.transmit_room();
  uart.receive_timeout();
  CHECK(uart.save_state() == before);
  CHECK_FALSE(irq.asserted());
  uart.thaw();
  CHECK(irq.asserted());
  CHECK(sink.room_calls == 1);
  CHECK(in(kIir) == 0xcc);
  CHECK(in(kData) == 'b');
  CHECK(in(kIir) == 0xc2);
}

TEST_CASE_FIXTURE(UartFixture,
                  "uart16550: restored, it drives the pin of the new machine and knows no busy transmitter") {
  sink.capacity = 16;
  out(kIer, 0x02);
  in(kIir);
  out(kData, 'x');
  CHECK_FALSE(irq.asserted());
  const StateRecord state = uart.save_state();
  UartFixture other;
  other.uart.restore_state(state);
  CHECK(other.irq.asserted());
  CHECK((other.in(kLsr)&0x60) == 0x60);
  CHECK((other.in(kIir)&0x0f) == 0x02);
}

TEST_CASE_FIXTURE(UartFixture, "uart16550: wide accesses are bytes at consecutive registers, as on an ISA bus") {
  bus_out<std::uint16_t>(uart, kMcr - 1, 0x0b80);  // line control, modem control
  CHECK(in(kLcr) == 0x80);
  CHECK(in(kMcr) == 0x0b);
  bus_out<std::uint16_t>(uart, kData, 0x0102);  // the divisor
  CHECK(bus_in<std::uint16_t>(uart, kData) == 0x0102);
  CHECK(sink.text.empty());
}

}  // namespace tintype
