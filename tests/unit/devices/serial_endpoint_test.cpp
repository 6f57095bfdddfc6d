// SPDX-License-Identifier: Apache-2.0
#include "devices/serial_endpoint.h"

#include <signal.h>
#include <stdlib.h>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <doctest/doctest.h>

#include "tests/support/serial_rig.h"
#include "vmm/base/error.h"
#include "vmm/base/io.h"

namespace tintype {
namespace {

using namespace std::chrono_literals;

struct TemporaryDirectory {
  char path[32] = "/tmp/tintype-serial-XXXXXX";
  TemporaryDirectory() { REQUIRE(::mkdtemp(path) != nullptr); }
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
  std::filesystem::path file(std::string_view name) const { return std::filesystem::path(path) / name; }
};

UniqueFd connect_to(const std::filesystem::path& path) {
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.native().copy(address.sun_path, sizeof address.sun_path - 1);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) fd.reset();
  return fd;
}

}  // namespace

TEST_CASE("serial console: a file gets everything; a boot starts it anew, a restored machine goes on in it") {
  const TemporaryDirectory directory;
  const auto run = [&](FileStart start, std::string_view text) {
    SerialConsole console(make_file_endpoint(directory.file("log"), start));
    FakePort port(console);
    console.start(port);
    CHECK(print_politely(console, port, text));
  };
  const std::string text = numbered_lines(20'000);
  run(FileStart::kTruncate, "an older run\n");
  run(FileStart::kTruncate, text);
  run(FileStart::kAppend, "restored\n");
  CHECK((read_text_file(directory.file("log")) == text + "restored\n"));
}

TEST_CASE("serial console: a file that was made for a machine that never ran goes again; one that was there stays") {
  const TemporaryDirectory directory;
  for (const auto start : {FileStart::kTruncate, FileStart::kAppend}) {
    make_file_endpoint(directory.file("new"), start).reset();
    CHECK_FALSE(std::filesystem::exists(directory.file("new")));
  }
  make_file_endpoint(directory.file("kept"), FileStart::kTruncate)->start();
  CHECK(std::filesystem::exists(directory.file("kept")));
  make_file_endpoint(directory.file("kept"), FileStart::kAppend).reset();
  CHECK(std::filesystem::exists(directory.file("kept")));
}

TEST_CASE("serial console: SIGKILL loses nothing that was printed a moment ago, with or without a newline") {
  const TemporaryDirectory directory;
  const std::string text = numbered_lines(3000) + "and no newline";
  const Pipe printed;
  const pid_t child = ::fork();
  if (child == 0) {
    SerialConsole console(make_file_endpoint(directory.file("log"), FileStart::kTruncate));
    FakePort port(console);
    console.start(port);
    print_politely(console, port, text);
    [[maybe_unused]] const auto written = ::write(printed.writer.get(), "x", 1);
    for (;;) ::pause();
  }
  CHECK(read_some(printed.reader.get(), 1, 20s) == "x");
  std::this_thread::sleep_for(200ms);  // a moment on an idle machine is two milliseconds, but this one is shared
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  CHECK((read_text_file(directory.file("log")) == text));
}

TEST_CASE("serial console: a file that cannot be written is refused at the start, with a sentence") {
  CHECK_THROWS_AS(make_file_endpoint("/nowhere/at/all", FileStart::kTruncate), Error);
  CHECK_THROWS_AS(make_file_endpoint("/tmp", FileStart::kTruncate), Error);
  const TemporaryDirectory directory;
  REQUIRE(::mkfifo(directory.file("pipe").c_str(), 0600) == 0);
  CHECK_THROWS_AS(make_file_endpoint(directory.file("pipe"), FileStart::kTruncate), Error);
}

TEST_CASE("serial console: a full disk loses output, not the machine") {
  SerialConsole console(make_file_endpoint("/dev/full", FileStart::kAppend));
  FakePort port(console);
  console.start(port);
  CHECK(print_politely(console, port, numbered_lines(20'000)));
}

TEST_CASE("serial socket: private, kept while nobody is there, given to whoever comes, and removed at the end") {
  const TemporaryDirectory directory;
  const auto path = directory.file("serial");
  {
    SerialConsole console(make_unix_endpoint(path));
    FakePort port(console);
    console.start(port);
    struct stat info {};
    REQUIRE(::stat(path.c_str(), &info) == 0);
    CHECK((info.st_mode & 0777) == 0600);
    print(console, "booting\n");
    UniqueFd first = connect_to(path);
    CHECK(read_some(first.get(), 8) == "booting\n");
    REQUIRE(::write(first.get(), "input", 5) == 5);
    CHECK(wait_for([&] { return port.received() == "input"; }));

    const UniqueFd second = connect_to(path);
    CHECK(read_some(second.get(), 1000).find("somebody else") != std::string::npos);

    first.reset();
    std::this_thread::sleep_for(20ms);
    print(console, "between\n");
    const UniqueFd third = connect_to(path);
    CHECK(read_some(third.get(), 8) == "between\n");
  }
  CHECK_FALSE(std::filesystem::exists(path));
}

TEST_CASE("serial socket: a client that has sent all it has still gets the answer, and makes room when it goes") {
  const TemporaryDirectory directory;
  SerialConsole console(make_unix_endpoint(directory.file("serial")));
  FakePort port(console);
  console.start(port);
  UniqueFd client = connect_to(directory.file("serial"));
  REQUIRE(::write(client.get(), "ls\n", 3) == 3);
  REQUIRE(::shutdown(client.get(), SHUT_WR) == 0);
  CHECK(wait_for([&] { return port.received() == "ls\n"; }));
  std::this_thread::sleep_for(20ms);
  print(console, "answer\n");
  CHECK(read_some(client.get(), 7) == "answer\n");
  client.reset();
  const UniqueFd next = connect_to(directory.file("serial"));
  print(console, "next\n");
  CHECK(read_some(next.get(), 5) == "next\n");
}

TEST_CASE("serial socket: a client that stops reading loses the oldest output; the guest never waits for it") {
  const TemporaryDirectory directory;
  SerialConsole console(make_unix_endpoint(directory.file("serial")));
  FakePort port(console);
  console.start(port);
  const UniqueFd client = connect_to(directory.file("serial"));
  const std::string text = numbered_lines(60'000);
  bool waited = false;
  for (const char c : text) waited |= !console.put(static_cast<std::uint8_t>(c));
  CHECK_FALSE(waited);
  const std::string seen = read_some(client.get(), text.size(), 300ms);
  CHECK(seen.size() < text.size());
  CHECK(seen.ends_with("line 59999 of the guest's output\n"));
}

TEST_CASE("serial socket: a dead program's socket is replaced; a living one's, and any other file, is not") {
  const TemporaryDirectory directory;
  const auto path = directory.file("serial");
  const auto living = make_unix_endpoint(path);
  CHECK_THROWS_AS(make_unix_endpoint(path), Error);
  CHECK(std::filesystem::exists(path));

  const auto dead = directory.file("dead");
  {
    const UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    dead.native().copy(address.sun_path, sizeof address.sun_path - 1);
    REQUIRE(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  }
  CHECK_NOTHROW(make_unix_endpoint(dead));

  const auto file = directory.file("file");
  open_file(file, O_CREAT | O_WRONLY);
  CHECK_THROWS_AS(make_unix_endpoint(file), Error);
  CHECK(std::filesystem::exists(file));
  CHECK_THROWS_AS(make_unix_endpoint(std::string(200, 'x')), Error);
}

}  // namespace tintype
