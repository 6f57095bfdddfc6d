// SPDX-License-Identifier: Apache-2.0
#include <map>

#include <doctest/doctest.h>

#include "vmm/base/error.h"
#include "vmm/gdb/packet.h"
#include "vmm/gdb/registers.h"
#include "vmm/gdb/session.h"

namespace tintype {
namespace {

constexpr std::uint64_t kRefused = 0x6666;

/// Two CPUs in long mode, whose memory is a map, and which note what they are told.
class LivePaper final : public DebugSubject {
 public:
  LivePaper() {
    for (VcpuRegisters& each : cpus_) each.system.efer = 0x500;
  }
  std::size_t cpus() const override { return 2; }
  const VcpuRegisters& registers(std::size_t cpu) const override { return cpus_[cpu]; }
  std::vector<std::uint8_t> read(std::size_t, std::uint64_t, std::size_t) const override { return {}; }
  std::string describe(std::size_t) const override { return "one"; }
  bool is_live() const override { return true; }
  bool set_registers(std::size_t cpu, const VcpuRegisters& registers) override {
    cpus_[cpu] = registers;
    return true;
  }
  bool write(std::size_t, std::uint64_t address, std::span<const std::uint8_t> bytes) override {
    if (address < 0x1000) return false;
    for (const std::uint8_t byte : bytes) memory[address++] = byte;
    return true;
  }
  bool add_break(std::size_t cpu, BreakKind kind, std::uint64_t address, std::uint64_t length) override {
    if (address == kRefused) throw Error("not here");
    told += fmt::format("+{}:{}:{:x}:{} ", cpu, static_cast<int>(kind), address, length);
    return address >= 0x1000;
  }
  void remove_break(BreakKind kind, std::uint64_t address, std::uint64_t) override {
    told += fmt::format("-{}:{:x} ", static_cast<int>(kind), address);
  }
  void run(std::span<const CpuAction> actions) override {
    for (const CpuAction action : actions) told += "nrs"[static_cast<int>(action)];
    told += ' ';
  }
  void interrupt() override { told += "^C "; }
  std::string monitor(const std::string& command) override { return "<" + command + ">"; }

  std::map<std::uint64_t, std::uint8_t> memory;
  std::string told;

 private:
  VcpuRegisters cpus_[2];
};

struct LiveGdb {
  LivePaper machine;
  GdbSession session{machine};
  std::string ask(std::string_view command) { return session.answer(command).value_or("(nothing)"); }
  std::string told() { return std::exchange(machine.told, {}); }
};

DebugStop stop(DebugStop::Why why, std::size_t cpu) {
  DebugStop made;
  made.why = why;
  made.cpu = cpu;
  made.address = 0x1234;
  made.exit_code = 7;
  return made;
}

}  // namespace

TEST_CASE("each thread does what the first action that is for it says, or stays") {
  LiveGdb gdb;
  CHECK(gdb.ask("vCont?") == "vCont;c;C;s;S");
  CHECK(gdb.ask("vCont;c") == "(nothing)");
  CHECK(gdb.told() == "rr ");
  for (const auto& [command, told] : {std::pair("vCont;s:1;c", "sr "),
                                      {"vCont;s:2", "ns "},
                                      {"vCont;c:1;s:2", "rs "},
                                      {"vCont;C05:2", "nr "},
                                      {"vCont;s:-1", "ss "},
                                      {"c", "rr "},
                                      {"s", "sn "}}) {
    static_cast<void>(gdb.session.stopped(stop(DebugStop::Why::kStep, 0)));
    CHECK(gdb.ask(command) == "(nothing)");
    CHECK(gdb.told() == told);
  }
  for (const char* wrong : {"vCont;s:3", "vCont;x", "vCont;;", "vCont;s:zz"}) CHECK(gdb.ask(wrong) == "E16");
  CHECK(gdb.told().empty());
}

TEST_CASE("why it stopped is told once, to a gdb that waits") {
  LiveGdb gdb;
  using Why = DebugStop::Why;
  CHECK_FALSE(gdb.session.stopped(stop(Why::kStep, 1)));
  const auto after = [&](const DebugStop& why) {
    static_cast<void>(gdb.ask("c"));
    return gdb.session.stopped(why).value_or("(nothing)");
  };
  CHECK(after(stop(Why::kStep, 1)) == "T05thread:2;");
  CHECK(gdb.ask("qC") == "QC2");
  CHECK_FALSE(gdb.session.stopped(stop(Why::kStep, 1)));
  CHECK(after(stop(Why::kSoftware, 0)) == "T05swbreak:;thread:1;");
  CHECK(after(stop(Why::kHardware, 1)) == "T05hwbreak:;thread:2;");
  CHECK(after(stop(Why::kWatch, 0)) == "T05watch:1234;thread:1;");
  CHECK(after(stop(Why::kAsked, 0)) == "T02thread:1;");
  CHECK(after(stop(Why::kEnded, 0)) == "W07");
  CHECK(gdb.session.over());
}

TEST_CASE("Ctrl-C counts while it runs") {
  LiveGdb gdb;
  gdb.session.interrupt();
  CHECK(gdb.told().empty());
  static_cast<void>(gdb.ask("c"));
  static_cast<void>(gdb.told());
  gdb.session.interrupt();
  CHECK(gdb.told() == "^C ");
}

TEST_CASE("registers are written, each and all, and come back") {
  LiveGdb gdb;
  CHECK(gdb.ask("P0=8877665544332211") == "OK");
  CHECK(gdb.machine.registers(0).general.rax == 0x1122334455667788);
  CHECK(gdb.ask("P0=88") == "E16");
  CHECK(gdb.ask("Pffff=8877665544332211") == "E16");
  CHECK(gdb.ask("P0") == "E16");
  CHECK(gdb.ask("P12=10000000") == "E16");  // cs
  std::string all = gdb.ask("g");
  all.replace(16, 16, "0100000000000000");
  CHECK(gdb.ask("G" + all) == "OK");
  CHECK(gdb.machine.registers(0).general.rbx == 1);
  CHECK(gdb.ask("g") == all);
  CHECK(gdb.ask("G00") == "E16");
  CHECK(gdb.ask("G" + all + "00") == "E16");
}

TEST_CASE("every register that can be set reads back what was written, in both architectures") {
  for (const auto architecture : {GdbArchitecture::kX86_64, GdbArchitecture::kI386}) {
    VcpuRegisters registers{};
    std::size_t set = 0;
    for (std::uint64_t number = 0;; ++number) {
      const auto before = register_hex(architecture, registers, number);
      if (!before) break;
      std::string value;
      for (std::size_t i = 0; i < before->size() / 2; ++i) value += fmt::format("{:02x}", (number + i) & 0x7f);
      if (!set_register(architecture, registers, number, value)) continue;
      ++set;
      CHECK(register_hex(architecture, registers, number) == value);
    }
    CHECK(set > 30);
  }
}

TEST_CASE("memory is written in both ways") {
  LiveGdb gdb;
  CHECK(gdb.ask("M2000,2:beef") == "OK");
  CHECK(gdb.machine.memory[0x2001] == 0xef);
  CHECK(gdb.ask(std::string_view("X3000,3:a\0b", 11)) == "OK");
  CHECK(gdb.machine.memory[0x3002] == 'b');
  CHECK(gdb.ask("X3000,0:") == "OK");
  CHECK(gdb.ask("M2000,3:beef") == "E16");
  CHECK(gdb.ask("M2000,1:zz") == "E16");
  CHECK(gdb.ask("M10,1:00") == "E0e");
}

TEST_CASE("breakpoints of each kind, by the CPU that is selected") {
  LiveGdb gdb;
  CHECK(gdb.ask("Hg2") == "OK");
  for (const char* type : {"0", "1", "2", "4"}) CHECK(gdb.ask(fmt::format("Z{},2000,4", type)) == "OK");
  CHECK(gdb.told() == "+1:0:2000:4 +1:1:2000:4 +1:2:2000:4 +1:3:2000:4 ");
  CHECK(gdb.ask("z0,2000,1") == "OK");
  CHECK(gdb.told() == "-0:2000 ");
  CHECK(gdb.ask("Z3,2000,4") == "");
  CHECK(gdb.ask("Z0,10,1") == "E0e");
  CHECK(gdb.ask("Z1,6666,1") == "E.refused. not here");
  CHECK(gdb.ask("Z0,xyz,1") == "E16");
  CHECK(gdb.ask("Z") == "");
}

TEST_CASE("monitor carries text both ways") {
  LiveGdb gdb;
  CHECK(gdb.ask("qRcmd,6d61726b") == "3c6d61726b3e");
  CHECK(gdb.ask("qRcmd,6") == "E16");
}

TEST_CASE("rubbish changes nothing that a command could not") {
  LiveGdb gdb;
  std::uint32_t random = 1;
  for (int i = 0; i < 20000; ++i) {
    std::string command(1 + i % 14, '\0');
    for (char& byte : command) {
      random = random * 1664525 + 1013904223;
      byte = "gGpPmMXzZHTqQvcsk,:;=0123456789abcdef"[(random >> 16) % 37];
    }
    static_cast<void>(gdb.session.answer(command));
    static_cast<void>(gdb.session.stopped(stop(DebugStop::Why::kStep, 1)));
  }
  CHECK(gdb.ask("qfThreadInfo") == "m1,2");
}

}  // namespace tintype
