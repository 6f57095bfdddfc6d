// SPDX-License-Identifier: Apache-2.0
// A guest that writes rubbish to every register at every width: no device crashes, calls back by mistake, or
// ends up in a state that it would not take back itself.
#include <array>
#include <random>

#include <doctest/doctest.h>

#include "devices/acpi_pm.h"
#include "devices/bus.h"
#include "devices/debug_exit.h"
#include "devices/i8042.h"
#include "devices/rtc.h"
#include "devices/uart16550.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_irq_line.h"
#include "tests/support/fake_serial_sink.h"
#include "vmm/base/address_map.h"

namespace tintype {
namespace {

struct SmallPc {
  FakeIrqLine irq;
  FakeClock clock;
  FakeSerialSink sink;
  Uart16550 uart{"uart0", irq, sink};
  Rtc rtc{clock};
  I8042 keyboard{irq, [] {}};
  DebugExit debug_exit{[](int code) { CHECK(code % 2 == 1); }};
  AcpiPm pm{irq, clock, [] {}, [] {}};
  Bus ports;
  std::array<Stateful*, 5> things = {&uart, &rtc, &keyboard, &debug_exit, &pm};

  SmallPc() {
    ports.attach(kCom1Port, kCom1PortCount, uart, "uart0");
    ports.attach(kRtcPort, kRtcPortCount, rtc, "rtc");
    ports.attach(kI8042DataPort, 1, keyboard.data_port(), "i8042");
    ports.attach(kI8042CommandPort, 1, keyboard.command_port(), "i8042");
    ports.attach(kDebugExitPort, kDebugExitPortCount, debug_exit, "debug-exit");
    ports.attach(kAcpiPmBase, kAcpiPmPortCount, pm, "acpi-pm");
    ports.attach(kAcpiResetPort, 1, pm.reset_port(), "reset");
  }
};

constexpr std::array<std::uint64_t, 7> kStarts = {kCom1Port,      kRtcPort,    kI8042DataPort, kI8042CommandPort,
                                                  kDebugExitPort, kAcpiPmBase, kAcpiResetPort};

/// One access somewhere in or around a device, as a guest might do it.
void poke(SmallPc& pc, std::mt19937& random) {
  const std::size_t width = std::size_t{1} << random() % 4;
  const std::uint64_t port = kStarts[random() % kStarts.size()] + random() % 20 - 2;
  std::array<std::byte, 8> data;
  for (std::byte& byte : data) byte = std::byte(random());
  const auto part = std::span(data).first(width);
  if (random() % 2 == 0) {
    pc.ports.read(port, part);
  } else {
    pc.ports.write(port, part);
  }
}

/// Something from the host's side.
void disturb(SmallPc& pc, std::mt19937& random) {
  const std::array<std::uint8_t, 20> input{};
  switch (random() % 6) {
    case 0:
      pc.uart.receive(std::span(input).first(random() % input.size()));
      break;
    case 1:
      pc.uart.receive_timeout();
      break;
    case 2:
      pc.sink.drain(), pc.uart.transmit_room();
      break;
    case 3:
      static_cast<void>(pc.pm.press_power_button());
      break;
    case 4:
      pc.clock.advance_us(random() % 3'000'000);
      break;
    default:
      pc.sink.capacity = 16 + random() % 64;
  }
}

}  // namespace

TEST_CASE("devices: rubbish at every register and width leaves only states that can be saved and restored") {
  for (unsigned seed = 0; seed < 20; ++seed) {
    CAPTURE(seed);
    std::mt19937 random(seed);
    SmallPc pc, copy;
    for (int i = 0; i < 5000; ++i) {
      poke(pc, random);
      if (i % 7 == 0) disturb(pc, random);
      if (i % 100 != 0) continue;
      copy.clock.monotonic = pc.clock.monotonic;
      for (std::size_t thing = 0; thing < pc.things.size(); ++thing) {
        const StateRecord state = pc.things[thing]->save_state();
        REQUIRE_NOTHROW(copy.things[thing]->check_state(state));
        copy.things[thing]->restore_state(state);
        CHECK(copy.things[thing]->save_state() == state);
      }
    }
  }
}

}  // namespace tintype
