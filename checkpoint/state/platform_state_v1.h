// SPDX-License-Identifier: Apache-2.0
#pragma once

// The saved forms of interrupt controllers, interval timer and clock, version 1: shipped, so they never change (see
// vmm/base/state.h). Field names are those of <linux/kvm.h>.

#include <linux/kvm.h>

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "vmm/base/state.h"

namespace tintype {

struct PicStateV1 {
  static constexpr std::string_view kType = "i8259";
  static constexpr std::uint32_t kVersion = 1;
  std::uint8_t last_irr = 0, irr = 0, imr = 0, isr = 0, priority_add = 0, irq_base = 0, read_reg_select = 0, poll = 0;
  std::uint8_t special_mask = 0, init_state = 0, auto_eoi = 0, rotate_on_auto_eoi = 0, special_fully_nested_mode = 0;
  std::uint8_t init4 = 0, elcr = 0, elcr_mask = 0;
  bool operator==(const PicStateV1&) const = default;
  static void fields(auto& self, auto&& field) {
    field(1, "last_irr", self.last_irr);
    field(2, "irr", self.irr);
    field(3, "imr", self.imr);
    field(4, "isr", self.isr);
    field(5, "priority_add", self.priority_add);
    field(6, "irq_base", self.irq_base);
    field(7, "read_reg_select", self.read_reg_select);
    field(8, "poll", self.poll);
    field(9, "special_mask", self.special_mask);
    field(10, "init_state", self.init_state);
    field(11, "auto_eoi", self.auto_eoi);
    field(12, "rotate_on_auto_eoi", self.rotate_on_auto_eoi);
    field(13, "special_fully_nested_mode", self.special_fully_nested_mode);
    field(14, "init4", self.init4);
    field(15, "elcr", self.elcr);
    field(16, "elcr_mask", self.elcr_mask);
  }
};

struct IoapicStateV1 {
  static constexpr std::string_view kType = "ioapic";
  static constexpr std::uint32_t kVersion = 1;
  std::uint64_t base_address = 0;
  std::uint32_t ioregsel = 0, id = 0, irr = 0;
  std::array<std::uint64_t, KVM_IOAPIC_NUM_PINS> redirection{};
  bool operator==(const IoapicStateV1&) const = default;
  static void fields(auto& self, auto&& field) {
    field(1, "base_address", self.base_address);
    field(2, "ioregsel", self.ioregsel);
    field(3, "id", self.id);
    field(4, "irr", self.irr);
    field(5, "redirection", self.redirection);
  }
};

struct IrqchipStateV1 {
  static constexpr std::string_view kType = "irqchip";
  static constexpr std::uint32_t kVersion = 1;
  PicStateV1 pic_master, pic_slave;
  IoapicStateV1 ioapic;
  bool operator==(const IrqchipStateV1&) const = default;
  static void fields(auto& self, auto&& field) {
    field(1, "pic_master", self.pic_master);
    field(2, "pic_slave", self.pic_slave);
    field(3, "ioapic", self.ioapic);
  }
};

struct PitChannelStateV1 {
  static constexpr std::string_view kType = "i8254-channel";
  static constexpr std::uint32_t kVersion = 1;
  std::uint32_t count = 0;
  std::uint16_t latched_count = 0;
  std::uint8_t count_latched = 0, status_latched = 0, status = 0, read_state = 0, write_state = 0, write_latch = 0;
  std::uint8_t rw_mode = 0, mode = 0, bcd = 0, gate = 0;
  std::int64_t count_load_time = 0;
  bool operator==(const PitChannelStateV1&) const = default;
  static void fields(auto& self, auto&& field) {
    field(1, "count", self.count);
    field(2, "latched_count", self.latched_count);
    field(3, "count_latched", self.count_latched);
    field(4, "status_latched", self.status_latched);
    field(5, "status", self.status);
    field(6, "read_state", self.read_state);
    field(7, "write_state", self.write_state);
    field(8, "write_latch", self.write_latch);
    field(9, "rw_mode", self.rw_mode);
    field(10, "mode", self.mode);
    field(11, "bcd", self.bcd);
    field(12, "gate", self.gate);
    field(13, "count_load_time", self.count_load_time);
  }
};

struct PitStateV1 {
  static constexpr std::string_view kType = "i8254";
  static constexpr std::uint32_t kVersion = 1;
  std::vector<PitChannelStateV1> channels;
  std::uint32_t flags = 0;
  bool operator==(const PitStateV1&) const = default;
  static void fields(auto& self, auto&& field) {
    field(1, "channels", self.channels);
    field(2, "flags", self.flags);
  }
};

struct ClockStateV1 {
  static constexpr std::string_view kType = "kvmclock";
  static constexpr std::uint32_t kVersion = 1;
  std::uint64_t nanoseconds = 0;
  std::uint64_t realtime = 0;  ///< host's wall clock at the capture, nanoseconds; 0 where KVM did not tell
  std::uint64_t host_tsc = 0;  ///< likewise
  bool operator==(const ClockStateV1&) const = default;
  static void fields(auto& self, auto&& field) {
    field(1, "nanoseconds", self.nanoseconds);
    field(2, "realtime", self.realtime);
    field(3, "host_tsc", self.host_tsc);
  }
};

}  // namespace tintype
