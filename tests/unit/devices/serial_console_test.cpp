// SPDX-License-Identifier: Apache-2.0
#include "devices/serial_console.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <functional>
#include <mutex>
#include <string>
#include <string_view>

#include "devices/host_output.h"
#include "vmm/base/error.h"
#include "vmm/base/io.h"

namespace tintype {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

bool wait_for(const std::function<bool()>& condition, std::chrono::milliseconds limit = 5s) {
  const auto end = Clock::now() + limit;
  while (!condition()) {
    if (Clock::now() > end) return false;
    std::this_thread::sleep_for(200us);
  }
  return true;
}

/// A port that takes up to `capacity` bytes of input until read().
class FakePort final : public SerialPort {
 public:
  explicit FakePort(SerialSink& sink) : sink_(sink) {}

  std::size_t receive(std::span<const std::uint8_t> bytes) noexcept override {
    const std::lock_guard lock(mutex_);
    const std::size_t taken = std::min(bytes.size(), capacity - held_);
    all_.append(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(taken));
    held_ += taken;
    return taken;
  }
  void transmit_room() noexcept override { ++room_calls; }
  void receive_timeout() noexcept override { ++timeout_calls; }

  /// The guest reads what is there.
  void read() {
    {
      const std::lock_guard lock(mutex_);
      held_ = 0;
    }
    sink_.receive_room();
  }
  std::string received() {
    const std::lock_guard lock(mutex_);
    return all_;
  }

  std::size_t capacity = 1 << 20;
  std::atomic<unsigned> room_calls = 0;
  std::atomic<unsigned> timeout_calls = 0;

 private:
  SerialSink& sink_;
  std::mutex mutex_;
  std::string all_;
  std::size_t held_ = 0;
};

struct Pipe {
  UniqueFd reader, writer;
  Pipe() {
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    reader.reset(ends[0]);
    writer.reset(ends[1]);
  }
};

/// The two ends of a pipe as an endpoint, by the same HostOutput that standard output uses.
class PipeEndpoint final : public SerialEndpoint {
 public:
  PipeEndpoint(int input, int output) : input_(input), output_(output, "the test's pipe") {}
  int input_fd() const noexcept override { return input_; }
  int output_fd() const noexcept override { return output_.fd(); }
  std::size_t read(std::span<std::uint8_t> into) noexcept override {
    const auto count = ::read(input_, into.data(), into.size());
    if (count <= 0) input_ = -1;
    return count > 0 ? static_cast<std::size_t>(count) : 0;
  }
  std::size_t write(std::span<const std::uint8_t> bytes) noexcept override { return output_.write(bytes); }

 private:
  int input_;
  HostOutput output_;
};

struct PipeConsole {
  Pipe in, out;
  SerialConsole console{std::make_unique<PipeEndpoint>(in.reader.get(), out.writer.get())};
  FakePort port{console};
};

struct TemporaryDirectory {
  char path[32] = "/tmp/tintype-serial-XXXXXX";
  TemporaryDirectory() { REQUIRE(::mkdtemp(path) != nullptr); }
  ~TemporaryDirectory() { std::filesystem::remove_all(path); }
  std::filesystem::path file(std::string_view name) const { return std::filesystem::path(path) / name; }
};

/// Prints as a guest does that looks at the transmitter before each FIFO's worth; false where it never became free.
bool print_politely(SerialConsole& console, FakePort& port, std::string_view text) {
  for (const char c : text) {
    const unsigned seen = port.room_calls;
    if (console.put(static_cast<std::uint8_t>(c))) continue;
    if (!wait_for([&] { return port.room_calls != seen; })) return false;
  }
  return true;
}

void print(SerialConsole& console, std::string_view text) {
  for (const char c : text) console.put(static_cast<std::uint8_t>(c));
}

/// What comes out within the limit, at most `size` bytes.
std::string read_some(int fd, std::size_t size, std::chrono::milliseconds limit = 5s) {
  std::string text;
  const auto end = Clock::now() + limit;
  while (text.size() < size && Clock::now() < end) {
    pollfd polled{.fd = fd, .events = POLLIN, .revents = 0};
    if (::poll(&polled, 1, 10) == 0) continue;
    char buffer[4096];
    const auto count = ::read(fd, buffer, std::min(sizeof buffer, size - text.size()));
    if (count <= 0) break;
    text.append(buffer, static_cast<std::size_t>(count));
  }
  return text;
}

std::string numbered_lines(unsigned count) {
  std::string text;
  for (unsigned i = 0; i < count; ++i) text += fmt::format("line {} of the guest's output\n", i);
  return text;
}

UniqueFd connect_to(const std::filesystem::path& path) {
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.native().copy(address.sun_path, sizeof address.sun_path - 1);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) fd.reset();
  return fd;
}

}  // namespace

TEST_CASE_FIXTURE(PipeConsole, "serial console: a single byte without a newline arrives in about a millisecond") {
  console.start(port);
  std::this_thread::sleep_for(20ms);
  auto worst = Clock::duration::zero();
  for (int i = 0; i < 20; ++i) {
    const auto start = Clock::now();
    print(console, "x");
    REQUIRE(read_some(out.reader.get(), 1) == "x");
    worst = std::max(worst, Clock::now() - start);
    if (i % 2 == 0) std::this_thread::sleep_for(3ms);
  }
  CHECK(worst < 500ms);  // generous: this machine is shared. The usual time is in the README
}

TEST_CASE_FIXTURE(PipeConsole, "serial console: a megabyte through a slow reader is complete and in order") {
  console.start(port);
  const std::string text = numbered_lines(32'000);
  std::string seen;
  std::thread reader([&] {
    std::this_thread::sleep_for(50ms);
    seen = read_some(out.reader.get(), text.size(), 30s);
  });
  CHECK(print_politely(console, port, text));
  reader.join();
  CHECK((seen == text));
}

TEST_CASE_FIXTURE(PipeConsole, "serial console: stop() writes out the last bytes, newline or not") {
  console.start(port);
  print(console, "first line\nthe rest, without an end");
  console.stop();
  CHECK(read_some(out.reader.get(), 35) == "first line\nthe rest, without an end");
}

TEST_CASE_FIXTURE(PipeConsole, "serial console: output from before start() is not lost") {
  print(console, "early\n");
  console.start(port);
  CHECK(read_some(out.reader.get(), 6) == "early\n");
}

TEST_CASE_FIXTURE(PipeConsole, "serial console: a reader that never reads blocks neither the vCPU nor stop() for long") {
  console.start(port);
  const auto start = Clock::now();
  print(console, numbered_lines(40'000));
  CHECK(Clock::now() - start < 2s);
  CHECK_FALSE(console.put('x'));
  console.stop();
  CHECK(Clock::now() - start < 10s);
}

TEST_CASE_FIXTURE(PipeConsole, "serial console: a reader that has gone does not kill the machine") {
  console.start(port);
  out.reader.reset();
  print(console, "into the void\n");
  std::this_thread::sleep_for(20ms);
  CHECK(print_politely(console, port, numbered_lines(20'000)));
}

TEST_CASE_FIXTURE(PipeConsole, "serial console: the pipe stays blocking for the programs that share it") {
  console.start(port);
  print(console, "x\n");
  read_some(out.reader.get(), 2);
  CHECK((::fcntl(out.writer.get(), F_GETFL) & O_NONBLOCK) == 0);
}

TEST_CASE_FIXTURE(PipeConsole, "serial console: input waits for a port that is full, nothing lost, and ends at the end of the pipe") {
  port.capacity = 16;
  console.start(port);
  const std::string text = numbered_lines(400);
  std::thread writer([&] {
    CHECK(::write(in.writer.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
    in.writer.reset();
  });
  CHECK(wait_for([&] {
    port.read();
    return port.received().size() >= text.size();
  }));
  writer.join();
  CHECK((port.received() == text));
  print(console, "still here\n");
  CHECK(read_some(out.reader.get(), 11) == "still here\n");
}

TEST_CASE_FIXTURE(PipeConsole, "serial console: the port's wish for a timeout is granted, once") {
  console.start(port);
  console.want_receive_timeout();
  CHECK(wait_for([&] { return port.timeout_calls > 0; }));
  std::this_thread::sleep_for(10ms);
  CHECK(port.timeout_calls == 1);
}

TEST_CASE("serial console: with no endpoint the guest prints for ever and nobody waits") {
  SerialConsole console(nullptr);
  FakePort port(console);
  console.start(port);
  bool waited = false;
  for (int i = 0; i < 1'000'000; ++i) waited |= !console.put('x');
  CHECK_FALSE(waited);
  console.stop();
}

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
