// SPDX-License-Identifier: Apache-2.0
#include "vmm/gdb/packet.h"

#include <random>

#include <doctest/doctest.h>

namespace tintype {
namespace {

std::vector<GdbInput> all(std::string_view bytes) {
  PacketReader reader;
  reader.add(bytes);
  std::vector<GdbInput> inputs;
  while (!reader.empty()) inputs.push_back(reader.next());
  return inputs;
}

}  // namespace

TEST_CASE("a packet comes out as it went in, whatever is in it") {
  std::mt19937 random(1);
  for (int round = 0; round < 200; ++round) {
    std::string data(random() % 300, '\0');
    for (char& byte : data) byte = static_cast<char>(random() % 4 == 0 ? "$#}*"[random() % 4] : random());
    const auto inputs = all("+" + as_packet(data) + as_packet("x"));
    REQUIRE(inputs.size() == 2);
    CHECK(inputs[0].data == data);
    CHECK(inputs[0].sound);
    CHECK(inputs[1].data == "x");
  }
}

TEST_CASE("in pieces the same") {
  PacketReader reader;
  for (const char byte : as_packet("m0,4")) {
    CHECK(reader.empty());
    reader.add(std::string_view(&byte, 1));
  }
  CHECK(reader.next().data == "m0,4");
}

TEST_CASE("a wrong checksum is told, and Ctrl-C and a wish to hear it again are heard between packets") {
  const auto inputs = all("$g#00\x03-$g#67");
  REQUIRE(inputs.size() == 4);
  CHECK_FALSE(inputs[0].sound);
  CHECK(inputs[1].kind == GdbInput::Kind::kInterrupt);
  CHECK(inputs[2].kind == GdbInput::Kind::kAgain);
  CHECK(inputs[3].sound);
}

TEST_CASE("rubbish, a packet that was cut off, and one that never ends are passed over") {
  CHECK(all("GET / HTTP/1.1\r\n\r\n").empty());
  const auto cut = all("$m12" + as_packet("?"));
  REQUIRE(cut.size() == 1);
  CHECK(cut[0].data == "?");
  const auto endless = all("$" + std::string(3 * kMaximumPacket, 'a') + as_packet("?"));
  REQUIRE(endless.size() == 1);
  CHECK(endless[0].data == "?");
  CHECK_FALSE(all("$g#zz")[0].sound);
}

}  // namespace tintype
