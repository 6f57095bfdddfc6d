// SPDX-License-Identifier: Apache-2.0
// Two computers on the loopback: what was acknowledged is there, whoever is killed, cut off, full, or a stranger.
#include "checkpoint/standby/standby.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <fstream>
#include <random>

#include <doctest/doctest.h>

#include "checkpoint/backup/import.h"
#include "checkpoint/backup/transfer.h"
#include "checkpoint/standby/key_file.h"
#include "checkpoint/standby/link_words.h"
#include "checkpoint/standby/standby_place.h"
#include "checkpoint/store/operations.h"
#include "tests/support/becomes_true.h"
#include "tests/support/rounds.h"
#include "tests/support/skip.h"
#include "tests/support/small_file_system.h"
#include "tests/unit/store/film.h"
#include "vmm/base/error.h"
#include "vmm/base/io.h"

namespace tintype {
namespace {

using namespace checkpoint_test;
namespace fs = std::filesystem;
using std::chrono::milliseconds;

std::vector<std::byte> a_key(unsigned number = 1) { return std::vector<std::byte>(32, std::byte(number)); }

/// A standby, and a film that is shot here and kept there.
struct TwoComputers {
  ScratchDirectory scratch{quick_directory()};
  fs::path here = scratch / "here", there = scratch / "there";
  std::unique_ptr<Standby> standby;
  std::optional<Manifest> last{};
  std::atomic<int> replaced = 0;

  explicit TwoComputers(std::optional<milliseconds> promote_after = {}) { start(promote_after); }
  void start(std::optional<milliseconds> promote_after = {}) {
    StandbyOptions how = options();
    how.promote_after = promote_after;
    start(how);
  }
  void start(const StandbyOptions& how) {
    standby = std::make_unique<Standby>(how);
    port = standby->port();
  }
  StandbyOptions options() const {
    StandbyOptions options;
    options.listen = {"127.0.0.1", standby ? std::to_string(port) : "0"};
    options.repository = there;
    options.key = a_key();
    options.keep = parse_retention("last=4", "");
    return options;
  }
  TcpAddress address() const { return {"127.0.0.1", std::to_string(port)}; }
  std::unique_ptr<BackupPlace> place(unsigned key = 1) {
    return make_standby_place({address(), a_key(key), "film", here, [this](const std::string&) { ++replaced; }});
  }
  const Manifest& shoot() {
    last = film::take(here, last);
    return *last;
  }
  /// Shoots one, and returns when it was acknowledged.
  void deliver(BackupPlace& place) {
    place.look();
    place.bring(here, shoot().id, {});
    place.prune({}, {});
  }
  std::string newest_there() const { return show_checkpoint(there, std::nullopt).identity; }
  void check_whole() const { CHECK(film::first_fault(there) == ""); }

  std::uint16_t port = 0;
};

/// Speaks to a standby by hand.
struct Caller {
  SecureChannel channel;
  explicit Caller(const TwoComputers& computers, unsigned key = 1)
      : channel(connect_to(computers.address(), std::chrono::seconds(5)), ChannelEnd::kClient, a_key(key),
                std::chrono::seconds(20)) {}
  std::string ask(std::string_view line) {
    channel.send_line(line);
    return channel.receive_line();
  }
};

}  // namespace

TEST_CASE("what was acknowledged is there, whole, and only the newest stay") {
  TwoComputers computers;
  const auto place = computers.place();
  for (int i = 0; i < 12; ++i) {
    computers.deliver(*place);
    CHECK(computers.newest_there() == computers.last->identity);
  }
  CHECK(becomes_true([&] { return computers.standby->status().received == 12; }));
  std::this_thread::sleep_for(std::chrono::seconds(1));  // so often it is pruned
  computers.deliver(*place);
  CHECK(becomes_true([&] { return Repository::open(computers.there).ids().size() <= 4; }));
  computers.check_whole();
  CHECK(computers.standby->status().vm == "film");
}

TEST_CASE("a stranger gets nothing, and breaks nothing") {
  TwoComputers computers;
  const auto place = computers.place();
  computers.deliver(*place);
  CHECK_THROWS_AS(Caller(computers, 2).ask("HELLO 1 film"), Error);
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
  for (const std::string& wrong : {std::string("HELLO 2 film"), std::string("BEAT"), std::string(5000, 'x')}) {
    Caller caller(computers);
    CHECK_THROWS_AS(caller.ask(wrong), Error);
  }
  Caller caller(computers);
  CHECK(caller.ask("HELLO 1 film") == "HAVE -");
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
    const std::string answer = caller.ask("HELLO 1 " + vm);
    return answer.starts_with(link_words::kError) && answer.find("it is for the machine film") != answer.npos;
  };
  {
    Caller leaves(computers);
    CHECK(leaves.ask("HELLO 1 other") == "HAVE -");
    leaves.channel.send_line(link_words::kBye);
  }
  CHECK(becomes_true([&] { return computers.standby->status().vm.empty(); }));
  auto place = computers.place();
  place->look();
  CHECK(refused("other"));
  computers.deliver(*place);
  CHECK(refused("other"));
  CHECK_FALSE(refused("film"));
  place.reset();
  computers.standby.reset();
  computers.start();
  CHECK(refused("other"));
  CHECK(computers.standby->status().vm != "other");
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
        {{"127.0.0.1", std::to_string(port_of(listener.get()))}, a_key(), "film", computers.here, {}});
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

TEST_CASE("a stream that is cut anywhere leaves nothing, and the next one goes on from what is there") {
  TwoComputers computers;
  {
    const auto place = computers.place();
    computers.deliver(*place);
  }
  std::mt19937_64 random(7);
  std::vector<std::byte> stream;
  const auto next = computers.shoot();
  send_checkpoint(computers.here, next.id, next.parent,
                  [&](std::span<const std::byte> bytes) { stream.insert(stream.end(), bytes.begin(), bytes.end()); });
  for (unsigned round = 0; round < rounds(20); ++round) {
    Caller caller(computers);
    CHECK(caller.ask("HELLO 1 film").starts_with("HAVE "));
    caller.channel.send_line(link_words::kStream);
    caller.channel.send(std::span(stream).first(random() % stream.size()));
    caller.channel.shut_down();
  }
  CHECK(becomes_true([&] { return Repository::open(computers.there).ids().size() == 1; }));
  computers.check_whole();
  const auto place = computers.place();
  place->look();
  place->bring(computers.here, next.id, {});
  CHECK(computers.newest_there() == next.identity);
  computers.check_whole();
}

TEST_CASE("a byte that was changed on the way is not acknowledged") {
  TwoComputers computers;
  const auto first = computers.shoot();
  std::vector<std::byte> stream;
  send_checkpoint(computers.here, first.id, {},
                  [&](std::span<const std::byte> bytes) { stream.insert(stream.end(), bytes.begin(), bytes.end()); });
  stream[stream.size() / 2] ^= std::byte{1};
  Caller caller(computers);
  caller.ask("HELLO 1 film");
  caller.channel.send_line(link_words::kStream);
  caller.channel.send(stream);
  CHECK(caller.channel.receive_line().starts_with("ERROR "));
  CHECK(Repository::open(computers.there).ids().empty());
}

TEST_CASE("the standby is restarted: the first computer goes on with what it has") {
  TwoComputers computers;
  const auto place = computers.place();
  computers.deliver(*place);
  computers.standby.reset();
  StandbyOptions options = computers.options();
  options.listen = computers.address();
  computers.standby = std::make_unique<Standby>(options);
  const auto next = computers.shoot();
  CHECK(becomes_true([&] {
    try {
      place->look();
      place->bring(computers.here, next.id, {});
      return true;
    } catch (const Error&) {
      return false;
    }
  }));
  CHECK(computers.newest_there() == next.identity);
  computers.check_whole();
}

TEST_CASE("a full disk there is said here, and nothing half is there") {
  if (::geteuid() != 0) SKIP_TEST("only root can mount a small file system");
  ScratchDirectory scratch(quick_directory());
  const test::SmallFileSystem small(scratch / "small", "64k");
  if (!small.mounted()) SKIP_TEST("nothing can be mounted here");
  TwoComputers computers;
  computers.standby.reset();
  computers.there = scratch / "small";
  StandbyOptions options = computers.options();
  computers.start(options);
  const auto place = computers.place();
  CHECK_THROWS_WITH_AS(computers.deliver(*place), doctest::Contains("did not take it"), Error);
  CHECK(Repository::open(computers.there).ids().empty());
  CHECK_FALSE(computers.standby->status().problem.empty());
}

TEST_CASE("promoted by hand, it is the newest whole one, and the first computer is told") {
  TwoComputers computers;
  CHECK_THROWS_AS(computers.standby->promote(), Error);
  const auto place = computers.place();
  computers.deliver(*place);
  computers.deliver(*place);
  const std::string acknowledged = computers.last->identity;
  computers.standby->promote();
  CHECK(computers.standby->wait_until_promoted(milliseconds(0)));
  CHECK(show_checkpoint(computers.there, computers.standby->checkpoint()).identity == acknowledged);
  CHECK(becomes_true([&] {
    try {
      computers.deliver(*place);
    } catch (const Error&) {
    }
    return computers.replaced > 0;
  }));
  CHECK_THROWS_WITH_AS(place->look(), doctest::Contains("runs this machine now"), Error);
  CHECK(computers.newest_there() == acknowledged);
}

TEST_CASE("nothing is promoted because nobody called, or because they took their leave") {
  TwoComputers computers(milliseconds(50));
  std::this_thread::sleep_for(milliseconds(200));
  {
    const auto place = computers.place();
    computers.deliver(*place);
    std::this_thread::sleep_for(milliseconds(20));
  }
  CHECK(becomes_true([&] { return computers.standby->status().silent_ms == 0; }));
  std::this_thread::sleep_for(milliseconds(200));
  CHECK_FALSE(computers.standby->status().promoted);
}

TEST_CASE("who stood still, or was busy himself, takes nobody for lost") {
  Silence silence;
  auto now = Silence::Clock::now();
  const auto look_after = [&](milliseconds time, bool listening) { return silence.look(now += time, listening); };
  CHECK(look_after(milliseconds(0), true) == milliseconds(0));
  CHECK(look_after(milliseconds(20), true) == milliseconds(20));
  CHECK(look_after(std::chrono::minutes(3), true) == milliseconds(20) + Silence::kMostBetweenLooks);
  CHECK(look_after(milliseconds(20), false) == milliseconds(0));
  CHECK(look_after(milliseconds(20), true) == milliseconds(20));
  silence.heard();
  CHECK(look_after(milliseconds(30), true) == milliseconds(30));
}

TEST_CASE("while a standby is busy with what came it hears no beat, and does not run the machine for that") {
  TwoComputers computers;
  computers.standby.reset();
  StandbyOptions options = computers.options();
  options.promote_after = milliseconds(500);
  options.on_checkpoint = [](std::uint64_t) { std::this_thread::sleep_for(milliseconds(1500)); };
  computers.start(options);
  const auto place = computers.place();
  computers.deliver(*place);
  std::this_thread::sleep_for(milliseconds(2500));
  CHECK_FALSE(computers.standby->status().promoted);
}

TEST_CASE("a connection that broke is made anew before the next backup") {
  TwoComputers computers(milliseconds(3000));
  const auto place = computers.place();
  computers.deliver(*place);
  CHECK(Caller(computers).ask("HELLO 1 film").starts_with("HAVE "));  // the newest call counts
  std::this_thread::sleep_for(milliseconds(4000));
  CHECK_FALSE(computers.standby->status().promoted);
  CHECK(computers.standby->status().connected);
}

TEST_CASE("a promotion that is not allowed does not happen, however long it is silent") {
  TwoComputers computers;
  computers.standby.reset();
  std::atomic<bool> allowed = false;
  std::atomic<int> asked = 0;
  StandbyOptions options = computers.options();
  options.promote_after = milliseconds(100);
  options.may_promote = [&](const std::string&) {
    ++asked;
    return allowed.load();
  };
  computers.start(options);
  Caller caller(computers);
  caller.ask("HELLO 1 film");
  const auto first = computers.shoot();
  copy_checkpoints(computers.here, computers.there, first.id);
  CHECK(becomes_true([&] { return asked >= 3; }));
  CHECK_FALSE(computers.standby->status().promoted);
  CHECK_THROWS_WITH_AS(computers.standby->promote(), doctest::Contains("witness"), Error);
  allowed = true;
  CHECK(becomes_true([&] { return computers.standby->status().promoted; }));
}

TEST_CASE("a standby that was restarted asks for the machine whose checkpoints it has, though nobody has called yet") {
  TwoComputers computers;
  computers.deliver(*computers.place());
  computers.standby.reset();
  std::string asked_for;
  StandbyOptions options = computers.options();
  options.may_promote = [&](const std::string& vm) {
    asked_for = vm;
    return vm != "film";  // its lease is held by the first computer, which lives
  };
  computers.start(options);
  CHECK_THROWS_WITH_AS(computers.standby->promote(), doctest::Contains("witness"), Error);
  CHECK(asked_for == "film");
  CHECK_FALSE(computers.standby->status().promoted);
}

TEST_CASE("promoted by hand while the first one is connected: that one stands still before this one runs") {
  TwoComputers computers;
  std::atomic<bool> stands_still = false;
  const auto place = make_standby_place({computers.address(), a_key(), "film", computers.here, [&](const std::string&) {
                                           std::this_thread::sleep_for(milliseconds(100));
                                           stands_still = true;
                                         }});
  computers.deliver(*place);
  computers.standby->promote();
  CHECK(stands_still);
  CHECK(computers.standby->wait_until_promoted(milliseconds(0)));
}

TEST_CASE("a first one that is connected and says nothing is not waited for long") {
  TwoComputers computers;
  const auto shot = computers.shoot();
  copy_checkpoints(computers.here, computers.there, shot.id);
  Caller caller(computers);
  CHECK(caller.ask("HELLO 1 film").starts_with("HAVE "));
  computers.standby->promote();
  CHECK(computers.standby->wait_until_promoted(milliseconds(0)));
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
      return caller->ask("HELLO 1 film").starts_with("HAVE ");
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

namespace {

/// The first computer, in a process that is killed: it delivers, and notes what was acknowledged.
[[noreturn]] void deliver_until_killed(TwoComputers& computers, const fs::path& notes) {
  try {
    const auto place = computers.place();
    std::ofstream acknowledged(notes, std::ios::app);
    for (;;) {
      computers.deliver(*place);
      acknowledged << computers.last->identity << std::endl;
    }
  } catch (const std::exception&) {
  }
  ::_exit(0);
}

}  // namespace

TEST_CASE("killed at any instant: the standby promotes a whole one, never older than the last acknowledged") {
  std::mt19937_64 random(11);
  for (unsigned round = 0; round < rounds(10); ++round) {
    TwoComputers computers;
    const fs::path notes = computers.scratch / "acknowledged";
    // The child has no threads but its own: it calls the standby, which lives in this process.
    const pid_t child = ::fork();
    if (child == 0) deliver_until_killed(computers, notes);
    CHECK(becomes_true([&] { return computers.standby->status().received >= 1; }));
    std::this_thread::sleep_for(milliseconds(random() % 100));
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    computers.standby->promote();
    CHECK(computers.standby->wait_until_promoted(std::chrono::seconds(1)));
    computers.check_whole();
    std::string last_acknowledged;
    std::ifstream read(notes);
    for (std::string line; std::getline(read, line);) last_acknowledged = line.size() == 32 ? line : last_acknowledged;
    const Manifest promoted = show_checkpoint(computers.there, computers.standby->checkpoint());
    const Manifest acknowledged = [&] {
      const Repository repository = Repository::open(computers.there);
      const auto known = Identities(repository).find(last_acknowledged);
      REQUIRE((last_acknowledged.empty() || known));
      return known ? *repository.read_manifest(repository.directory_of(known->id), known->id) : promoted;
    }();
    CHECK(promoted.id >= acknowledged.id);
  }
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
