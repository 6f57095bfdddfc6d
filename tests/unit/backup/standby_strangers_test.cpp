// SPDX-License-Identifier: Apache-2.0
// Who calls a standby without the key, or with it and something else to say.
#include <fcntl.h>
#include <poll.h>

#include <sys/socket.h>
#include <sys/stat.h>

#include <thread>

#include <doctest/doctest.h>

#include "checkpoint/backup/transfer.h"
#include "checkpoint/standby/key_file.h"
#include "checkpoint/standby/link_words.h"
#include "tests/support/becomes_true.h"
#include "tests/unit/backup/two_computers.h"
#include "vmm/base/error.h"
#include "vmm/base/io.h"

namespace tintype {
namespace {

using namespace checkpoint_test;
namespace fs = std::filesystem;
using std::chrono::milliseconds;
using namespace std::string_literals;

}  // namespace

TEST_CASE("a stranger gets nothing, and breaks nothing") {
  TwoComputers computers;
  const auto place = computers.place();
  computers.deliver(*place);
  CHECK_THROWS_AS(Caller(computers, 2).ask("HELLO 2 - film"), Error);
  for (const std::string_view rubbish : {"", "GET / HTTP/1.0\r\n\r\n", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc"}) {
    const UniqueFd plain = connect_to(computers.address(), std::chrono::seconds(5));
    CHECK(::send(plain.get(), rubbish.data(), rubbish.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(rubbish.size()));
    pollfd answered{plain.get(), POLLIN, 0};
    ::poll(&answered, 1, 20);
  }
  computers.deliver(*place);
  CHECK(computers.newest_there() == computers.last->identity);
  CHECK_FALSE(computers.standby->status().promoted);
}

TEST_CASE("a friend who says something wrong ends his connection, and nothing else") {
  TwoComputers computers;
  for (const std::string& wrong : {"HELLO 1 film"s, "HELLO 2 film"s, "BEAT"s, std::string(5000, 'x')}) {
    Caller caller(computers);
    CHECK_THROWS_AS(caller.ask(wrong), Error);
  }
  Caller caller(computers);
  CHECK(caller.ask("HELLO 2 - film") == "HAVE -");
  CHECK(caller.ask("BEAT") == "BEAT");
  CHECK_THROWS_AS(caller.ask("DANCE"), Error);
  const auto place = computers.place();
  computers.deliver(*place);
  computers.check_whole();
}

TEST_CASE("a standby is for one machine: another one is told so, and throws nobody out") {
  TwoComputers computers;
  const auto refused = [&](const std::string& vm) {
    Caller caller(computers);
    const std::string answer = caller.ask("HELLO 2 - " + vm);
    return answer.starts_with(link_words::kError) && answer.find("it is for the machine film") != answer.npos;
  };
  {
    Caller leaves(computers);
    CHECK(leaves.ask("HELLO 2 - other") == "HAVE -");
    leaves.channel.send_line(link_words::kBye);
  }
  CHECK(becomes_true([&] { return computers.standby->status().vm.empty(); }));
  auto place = computers.place();
  place->look();
  CHECK(refused("other"));
  computers.deliver(*place);
  CHECK(refused("other"));
  CHECK_FALSE(refused("film"));
  CHECK(computers.standby->status().problem.starts_with("a machine other called in vain: it is for the machine film"));
  place.reset();
  computers.standby.reset();
  computers.start();
  CHECK(computers.standby->status().vm == "film");
  CHECK(refused("other"));
  CHECK(computers.standby->status().vm == "film");
}

TEST_CASE("bytes of a conversation that was recorded are worth nothing when they are played again") {
  TwoComputers computers;
  // Between the two sits somebody who writes down what the first one says, and says it again afterwards.
  const UniqueFd listener = listen_at({"127.0.0.1", "0"});
  std::vector<char> recorded;
  std::thread between([&] {
    const UniqueFd caller = accept_one(listener.get(), std::chrono::seconds(20));
    const UniqueFd standby = connect_to(computers.address(), std::chrono::seconds(5));
    std::vector<char> buffer(65536);
    for (;;) {
      pollfd both[] = {{caller.get(), POLLIN, 0}, {standby.get(), POLLIN, 0}};
      if (::poll(both, 2, 20'000) <= 0) return;
      const bool said = both[0].revents != 0;
      const auto got = ::recv(said ? caller.get() : standby.get(), buffer.data(), buffer.size(), 0);
      if (got <= 0) return;
      if (said) recorded.insert(recorded.end(), buffer.begin(), buffer.begin() + got);
      pollfd writable{said ? standby.get() : caller.get(), POLLOUT, 0};
      for (ssize_t sent = 0; sent < got && ::poll(&writable, 1, 20'000) == 1;) {
        const auto now = ::send(writable.fd, buffer.data() + sent, static_cast<std::size_t>(got - sent), MSG_NOSIGNAL);
        if (now > 0) sent += now;
      }
    }
  });
  {
    const auto place = make_standby_place(
        {{"127.0.0.1", std::to_string(port_of(listener.get()))}, a_key(), "film", computers.here, {}, {}});
    computers.deliver(*place);
  }
  between.join();
  REQUIRE(recorded.size() > 1000);
  const auto received = computers.standby->status().received;
  fs::remove_all(computers.there);
  static_cast<void>(Repository::create(computers.there));
  const UniqueFd again = connect_to(computers.address(), std::chrono::seconds(5));
  ::send(again.get(), recorded.data(), recorded.size(), MSG_NOSIGNAL);
  pollfd answered{again.get(), POLLIN | POLLHUP, 0};
  ::poll(&answered, 1, 2000);
  std::this_thread::sleep_for(milliseconds(100));
  CHECK(computers.standby->status().received == received);
  CHECK(Repository::open(computers.there).ids().empty());
}

namespace {

/// Strangers who hold connections that they do nothing with, or drip a byte now and then; and call again when they were
/// dropped.
class Crowd {
 public:
  static constexpr std::size_t kEach = 20;
  explicit Crowd(const TcpAddress& address) : address_(address), thread_([this] { crowd(); }) {}
  ~Crowd() {
    ending_ = true;
    thread_.join();
  }
  std::size_t rounds() const { return rounds_; }

 private:
  struct Stranger {
    UniqueFd socket{};
    std::size_t said = 0;
  };

  void crowd() {
    std::vector<Stranger> strangers(2 * kEach);
    for (; !ending_; ++rounds_) {
      for (std::size_t i = 0; i < strangers.size(); ++i) drip(strangers[i], i < kEach && rounds_ % 10 == 0);
      std::this_thread::sleep_for(milliseconds(5));
    }
  }
  void drip(Stranger& stranger, bool speaks) const {
    constexpr std::string_view kBegin("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11);
    char byte = 0;
    const bool holds = stranger.socket && ::recv(stranger.socket.get(), &byte, 1, 0) < 0 && errno == EAGAIN;
    if (!holds) stranger = {connect_to(address_, std::chrono::seconds(20)), 0};
    if (!speaks) return;
    byte = stranger.said < kBegin.size() ? kBegin[stranger.said] : '\0';
    if (::send(stranger.socket.get(), &byte, 1, MSG_NOSIGNAL) == 1) ++stranger.said;
  }

  const TcpAddress address_;
  std::atomic<bool> ending_ = false;
  std::atomic<std::size_t> rounds_ = 0;
  std::thread thread_;
};

}  // namespace

TEST_CASE("strangers who crowd in and drip keep nobody with the key out, and have nobody take over") {
  TwoComputers computers(milliseconds(1000));
  {
    const auto first = computers.shoot();
    copy_checkpoints(computers.here, computers.there, first.id);
  }
  std::optional<Crowd> crowd(computers.address());
  CHECK(becomes_true([&] { return crowd->rounds() > 50; }));
  std::optional<Caller> caller;
  CHECK(becomes_true([&] {
    try {
      caller.emplace(computers);
      return caller->ask("HELLO 2 - film").starts_with("HAVE ");
    } catch (const Error&) {
      return false;
    }
  }));
  caller.reset();  // cut off, as far as the standby can know
  std::this_thread::sleep_for(milliseconds(2500));
  CHECK_FALSE(computers.standby->status().promoted);
  crowd.reset();
  CHECK(becomes_true([&] { return computers.standby->status().promoted; }));
}

TEST_CASE("who drips has as long for the handshake as anybody") {
  const UniqueFd listener = listen_at({"127.0.0.1", "0"});
  std::atomic<bool> over = false;
  std::thread drips([&] {
    const UniqueFd socket =
        connect_to({"127.0.0.1", std::to_string(port_of(listener.get()))}, std::chrono::seconds(20));
    const std::string_view begin("\x16\x03\x01\x02\x00", 5);
    for (std::size_t i = 0; i < 200 && !over; ++i) {
      const char byte = i < begin.size() ? begin[i] : '\0';
      ::send(socket.get(), &byte, 1, MSG_NOSIGNAL);
      std::this_thread::sleep_for(milliseconds(50));
    }
  });
  CHECK_THROWS_WITH_AS(SecureChannel(accept_one(listener.get(), std::chrono::seconds(20)), ChannelEnd::kServer, a_key(),
                                     milliseconds(500)),
                       doctest::Contains("500 ms"), Error);
  over = true;
  drips.join();
}

TEST_CASE("a key that others may read, or that is none, is refused") {
  ScratchDirectory scratch(quick_directory());
  const auto write = [&](const std::string& text, unsigned mode) {
    const fs::path file = scratch / "key";
    fs::remove(file);
    const UniqueFd fd = open_file(file, O_WRONLY | O_CREAT, mode);
    write_exactly(fd.get(), std::as_bytes(std::span(text)), 0, "key");
    ::fchmod(fd.get(), mode);
    return file;
  };
  CHECK(read_key_file(write(std::string(64, 'a') + "\n", 0600)).size() == 32);
  CHECK_THROWS_WITH_AS(read_key_file(write(std::string(64, 'a'), 0644)), doctest::Contains("chmod"), Error);
  for (const std::string& wrong : {std::string(), std::string(30, 'a'), std::string(64, 'g'), std::string(63, 'a')})
    CHECK_THROWS_WITH_AS(read_key_file(write(wrong, 0600)), doctest::Contains("openssl rand"), Error);
  CHECK_THROWS_AS(read_key_file(scratch / "nowhere"), Error);
}

}  // namespace tintype
