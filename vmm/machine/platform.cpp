// SPDX-License-Identifier: Apache-2.0
#include "vmm/machine/platform.h"

#include "tools/harness/tintype_harness.h"
#include "vmm/base/address_map.h"

namespace tintype {

namespace {

std::unique_ptr<SerialEndpoint> make_endpoint(const SerialConfig& serial, FileStart file_start,
                                              const GuestRequests& requests) {
  switch (serial.kind) {
    case SerialKind::kStdio:
      return make_stdio_endpoint(requests.leave_console);
    case SerialKind::kFile:
      return make_file_endpoint(serial.path, file_start);
    case SerialKind::kUnix:
      return make_unix_endpoint(serial.path);
    case SerialKind::kNull:
      break;
  }
  return nullptr;
}

}  // namespace

Platform::Platform(KvmVm& vm, Backplane& backplane, const SerialConfig& serial, FileStart file_start,
                   const GuestRequests& requests)
    : serial_irq_(vm, kCom1Irq, "com1"),
      keyboard_irq_(vm, kI8042KeyboardIrq, "i8042"),
      power_irq_(vm, kSciIrq, "acpi-pm"),
      console_(make_endpoint(serial, file_start, requests)),
      uart_("uart0", serial_irq_, console_),
      rtc_(clock_),
      keyboard_(keyboard_irq_, requests.reset),
      power_(power_irq_, clock_, requests.power_off, requests.reset),
      debug_exit_(requests.debug_exit),
      pvpanic_(requests.panic),
      harness_(requests.harness) {
  constexpr auto kPorts = Backplane::Space::kPorts;
  backplane.plug(uart_, {{kPorts, kCom1Port, kCom1PortCount, uart_, "com1"}});
  backplane.plug(rtc_, {{kPorts, kRtcPort, kRtcPortCount, rtc_, "rtc"}});
  backplane.plug(keyboard_, {{kPorts, kI8042DataPort, 1, keyboard_.data_port(), "i8042"},
                             {kPorts, kI8042CommandPort, 1, keyboard_.command_port(), "i8042"}});
  backplane.plug(power_, {{kPorts, kAcpiPmBase, kAcpiPmPortCount, power_, "acpi-pm"},
                          {kPorts, kAcpiResetPort, 1, power_.reset_port(), "acpi-reset"}});
  backplane.plug(debug_exit_, {{kPorts, kDebugExitPort, kDebugExitPortCount, debug_exit_, "debug-exit"}});
  backplane.plug_stateless({kPorts, kPvpanicPort, 1, pvpanic_, "pvpanic"});
  backplane.plug_stateless({kPorts, TINTYPE_HARNESS_PORT, sizeof(std::uint32_t), harness_, "harness"});
}

}  // namespace tintype
