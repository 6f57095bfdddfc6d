// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>

#include "devices/acpi_pm.h"
#include "devices/backplane.h"
#include "devices/debug_exit.h"
#include "devices/harness_port.h"
#include "devices/host_clock.h"
#include "devices/i8042.h"
#include "devices/pvpanic.h"
#include "devices/rtc.h"
#include "devices/serial_console.h"
#include "devices/uart16550.h"
#include "vmm/machine/config.h"
#include "vmm/machine/kvm_irq_line.h"

namespace tintype {

/// What a guest does to its machine by its devices. Called on vCPU threads; each only posts the event.
struct GuestRequests {
  std::function<void(int code)> debug_exit;
  std::function<void()> power_off;
  std::function<void()> reset;
  std::function<void()> leave_console;  ///< the user's Ctrl-A x
  std::function<void(Pvpanic::Event)> panic;
  std::function<void(std::uint32_t address)> harness;
};

/// The devices that every machine has, on the port bus: serial port, clock, keyboard controller, power, debug-exit.
class Platform {
 public:
  Platform(KvmVm& vm, Backplane& backplane, const SerialConfig& serial, FileStart file_start,
           const GuestRequests& requests);

  /// Starts taking input.
  void start() { console_.start(uart_); }
  /// Writes out what the guest has printed and gives the terminal back.
  void stop() noexcept { console_.stop(); }

  SerialConsole& console() noexcept { return console_; }
  const SerialConsole& console() const noexcept { return console_; }
  bool press_power_button() noexcept { return power_.press_power_button(); }

 private:
  HostClock clock_;
  KvmIrqLine serial_irq_, keyboard_irq_, power_irq_;
  SerialConsole console_;
  Uart16550 uart_;
  Rtc rtc_;
  I8042 keyboard_;
  AcpiPm power_;
  DebugExit debug_exit_;
  Pvpanic pvpanic_;
  HarnessPort harness_;
};

}  // namespace tintype
