// SPDX-License-Identifier: Apache-2.0
#include "vmm/gdb/session.h"

#include <sys/socket.h>

#include <array>
#include <random>

#include <doctest/doctest.h>

#include "vmm/gdb/connection.h"
#include "vmm/gdb/packet.h"
#include "vmm/gdb/registers.h"

namespace tintype {
namespace {

/// Two CPUs; memory at 0x1000 to 0x10ff, each byte its own place.
class PaperMachine final : public DebugSubject {
 public:
  explicit PaperMachine(bool long_mode) {
    for (std::size_t i = 0; i < 2; ++i) {
      cpus_[i].general.rax = 0x1122334455667788 + i;
      cpus_[i].general.rip = 0x401000 + i;
      cpus_[i].system.cs.selector = 8;
      cpus_[i].system.efer = long_mode ? 0x500 : 0;
    }
  }
  std::size_t cpus() const override { return 2; }
  const VcpuRegisters& registers(std::size_t cpu) const override { return cpus_[cpu]; }
  std::vector<std::uint8_t> read(std::size_t cpu, std::uint64_t address, std::size_t bytes) const override {
    std::vector<std::uint8_t> found;
    for (; found.size() < bytes && address >= 0x1000 && address < 0x1100; ++address)
      found.push_back(static_cast<std::uint8_t>(address + cpu));
    return found;
  }
  std::string describe(std::size_t cpu) const override { return cpu == 0 ? "first" : "second"; }

 private:
  VcpuRegisters cpus_[2];
};

struct Gdb {
  PaperMachine machine;
  GdbSession session{machine};
  explicit Gdb(bool long_mode = true) : machine(long_mode) {}
  std::string ask(std::string_view command) { return session.answer(command).value_or("(nothing)"); }
};

/// How many bits the registers in a description have.
std::size_t bits_in(const std::string& xml) {
  std::size_t bits = 0;
  for (auto at = xml.find("bitsize=\""); at != xml.npos; at = xml.find("bitsize=\"", at + 1))
    bits += std::stoul(xml.substr(at + 9));
  return bits;
}

}  // namespace

TEST_CASE("a description and the values have the same registers") {
  for (const auto architecture : {GdbArchitecture::kX86_64, GdbArchitecture::kI386}) {
    const PaperMachine machine(architecture == GdbArchitecture::kX86_64);
    CHECK(architecture_of(machine.registers(0)) == architecture);
    const std::string xml = target_description(architecture), hex = registers_hex(architecture, machine.registers(0));
    CHECK(bits_in(xml) == hex.size() * 4);
    std::string one_by_one;
    for (std::uint64_t i = 0; const auto value = register_hex(architecture, machine.registers(0), i); ++i)
      one_by_one += *value;
    CHECK(one_by_one == hex);
  }
}

TEST_CASE("registers are those of the CPU that is selected") {
  Gdb gdb;
  CHECK(gdb.ask("g").substr(0, 16) == "8877665544332211");
  CHECK(gdb.ask("Hg2") == "OK");
  CHECK(gdb.ask("g").substr(0, 16) == "8977665544332211");
  CHECK(gdb.ask("p10") == "0110400000000000");
  CHECK(gdb.ask("pfff") == "E16");
  CHECK(gdb.ask("Hg3") == "E16");
  CHECK(gdb.ask("Hg0") == "OK");
  Gdb other(false);
  CHECK(other.ask("g").substr(0, 8) == "88776655");
}

TEST_CASE("memory is as that CPU sees it, and ends where it ends") {
  Gdb gdb;
  CHECK(gdb.ask("m1004,4") == "04050607");
  CHECK(gdb.ask("Hg2") == "OK");
  CHECK(gdb.ask("m1004,4") == "05060708");
  CHECK(gdb.ask("m10fe,40").size() == 4);
  CHECK(gdb.ask("m2000,4") == "E0e");
  CHECK(gdb.ask("m1000,0") == "");
  CHECK(gdb.ask("m1000") == "E16");
  CHECK(gdb.ask("mxyz,4") == "E16");
  CHECK(gdb.ask("m1000,ffffffffffffffff").size() == 512);
}

TEST_CASE("threads are CPUs") {
  Gdb gdb;
  CHECK(gdb.ask("qfThreadInfo") == "m1,2");
  CHECK(gdb.ask("qsThreadInfo") == "l");
  CHECK(gdb.ask("T2") == "OK");
  CHECK(gdb.ask("T3") == "E16");
  CHECK(gdb.ask("?") == "T05thread:1;");
  CHECK(gdb.ask("qThreadExtraInfo,2") == "7365636f6e64");
  CHECK(gdb.ask("qC") == "QC1");
}

TEST_CASE("the description comes in pieces") {
  Gdb gdb;
  std::string xml;
  for (;;) {
    const std::string answer = gdb.ask(fmt::format("qXfer:features:read:target.xml:{:x},100", xml.size()));
    xml += answer.substr(1);
    if (answer.front() == 'l') break;
  }
  CHECK(xml == target_description(GdbArchitecture::kX86_64));
  CHECK(gdb.ask("qXfer:features:read:other.xml:0,100") == "E16");
  CHECK(gdb.ask("qXfer:features:read:target.xml:0") == "E16");
}

TEST_CASE("nothing is changed and nothing runs") {
  Gdb gdb;
  for (const char* command : {"c", "s", "G00", "P0=00", "M1000,1:00", "X1000,1:x", "Z0,1000,1", "vCont;c"})
    CHECK(gdb.ask(command).starts_with("E.refused. this is a checkpoint"));
}

TEST_CASE("what is not known is answered with nothing, and rubbish does no harm") {
  Gdb gdb;
  CHECK(gdb.ask("vMustReplyEmpty") == "");
  CHECK(gdb.ask("qSomething") == "");
  CHECK(gdb.ask("") == "");
  std::mt19937 random(1);
  for (int i = 0; i < 20000; ++i) {
    std::string command(1 + random() % 12, '\0');
    for (char& byte : command)
      byte = static_cast<char>(random() % 3 == 0 ? "gmpHTqQvcsZ,:;0123456789abcdef"[random() % 30] : random());
    static_cast<void>(gdb.session.answer(command));
  }
}

TEST_CASE("detaching and killing end the session") {
  Gdb gdb;
  CHECK(gdb.ask("QStartNoAckMode") == "OK");
  CHECK(gdb.session.without_acknowledgement());
  CHECK(gdb.ask("D") == "OK");
  CHECK(gdb.session.over());
  Gdb other;
  CHECK(other.ask("k") == "(nothing)");
  CHECK(other.session.over());
}

TEST_CASE("a gdb that grows impatient while it waits gets its answer once; one that heard badly gets it again") {
  int ends[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
  const UniqueFd ours(ends[0]);
  PaperMachine machine(true);
  GdbConnection gdb(UniqueFd(ends[1]), machine);
  const auto say = [&](std::string_view text) {
    REQUIRE(::send(ours.get(), text.data(), text.size(), 0) == static_cast<ssize_t>(text.size()));
    REQUIRE(gdb.receive());
    std::array<char, 256> heard;
    const auto bytes = ::recv(ours.get(), heard.data(), heard.size(), MSG_DONTWAIT);
    return std::string(heard.data(), bytes > 0 ? static_cast<std::size_t>(bytes) : 0);
  };
  CHECK(say(as_packet("qAttached")) == "+" + as_packet("1"));
  CHECK(say("-") == as_packet("1"));
  CHECK(say(as_packet("QStartNoAckMode")) == "+" + as_packet("OK"));
  CHECK(say(as_packet("qAttached")) == as_packet("1"));
  CHECK(say("-").empty());
}

}  // namespace tintype
