// SPDX-License-Identifier: Apache-2.0
#include "vmm/control/runtime_directory.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <sys/stat.h>
#include <sys/wait.h>

#include <atomic>
#include <cstdlib>
#include <fstream>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

#include "tests/unit/control/scratch_directory.h"
#include "vmm/base/error.h"
#include "vmm/control/end_record.h"
#include "vmm/control/unix_socket.h"

using namespace tintype;
namespace fs = std::filesystem;

namespace {

unsigned mode_of(const fs::path& path) {
  struct stat info {};
  REQUIRE(::stat(path.c_str(), &info) == 0);
  return info.st_mode & 07777;
}

/// A process that takes the name, listens, and is killed: what a machine leaves that died of SIGKILL.
void leave_dead_machine(const fs::path& directory, const std::string& name) {
  int ready[2];
  REQUIRE(::pipe(ready) == 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const NameClaim claim(directory, name);
    const UniqueFd socket = listen_on_unix_socket(claim.socket_path());
    [[maybe_unused]] const auto written = ::write(ready[1], "x", 1);
    ::alarm(10);
    for (;;) ::pause();
  }
  char byte = 0;
  REQUIRE(::read(ready[0], &byte, 1) == 1);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  ::close(ready[0]);
  ::close(ready[1]);
}

}  // namespace

TEST_CASE("the runtime directory is private to its user") {
  const ScratchDirectory scratch;
  const fs::path directory = scratch.path() / "deep" / "run";
  create_runtime_directory(directory);
  CHECK(mode_of(directory) == 0700);
  create_runtime_directory(directory);  // being there already is no error
}

TEST_CASE("a runtime directory that is a file is refused in one sentence") {
  const ScratchDirectory scratch;
  std::ofstream(scratch.path() / "file") << "x";
  CHECK_THROWS_AS(create_runtime_directory(scratch.path() / "file"), Error);
}

TEST_CASE("a name that could leave the runtime directory, or be taken for an option, is refused") {
  for (const char* bad : {"", ".", "..", "../x", "a/b", "-x", ".x", "a b", "a\n", "\xc3\xa9"})
    CHECK_THROWS_AS(check_machine_name(bad), UsageError);
  CHECK_THROWS_AS(check_machine_name(std::string(65, 'a')), UsageError);
  for (const char* good : {"a", "vm-1", "A_b.c", "_x", "9"}) CHECK_NOTHROW(check_machine_name(good));
}

TEST_CASE("a name in use is refused, and free again when its machine has ended") {
  const ScratchDirectory scratch;
  {
    const NameClaim first(scratch.path(), "twin");
    CHECK_THROWS_WITH_AS(NameClaim(scratch.path(), "twin"),
                         doctest::Contains(fmt::format("twin is running already (process {})", ::getpid()).c_str()),
                         Error);
    CHECK_NOTHROW(NameClaim(scratch.path(), "other"));
  }
  CHECK_NOTHROW(NameClaim(scratch.path(), "twin"));
  CHECK(fs::is_empty(scratch.path()));
}

TEST_CASE("of many that start at once with one name exactly one gets it") {
  const ScratchDirectory scratch;
  for (int round = 0; round < 20; ++round) {
    std::atomic<int> winners = 0, losers = 0;
    std::atomic<bool> go = false;
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        while (!go) std::this_thread::yield();
        const auto claim = NameClaim::try_take(scratch.path(), "raced");
        ++(claim ? winners : losers);
        while (winners + losers < 4) std::this_thread::yield();  // nobody lets go before all have tried
      });
    }
    go = true;
    for (auto& thread : threads) thread.join();
    CHECK(winners == 1);
  }
}

TEST_CASE("a killed machine does not keep its name") {
  const ScratchDirectory scratch;
  leave_dead_machine(scratch.path(), "ghost");
  REQUIRE(fs::exists(scratch.path() / "ghost.sock"));
  const NameClaim claim(scratch.path(), "ghost");
  CHECK_FALSE(fs::exists(claim.socket_path()));
  CHECK_NOTHROW(listen_on_unix_socket(claim.socket_path()));
}

TEST_CASE("the list shows living machines and those that start, and clears away what killed ones left") {
  const ScratchDirectory scratch;
  leave_dead_machine(scratch.path(), "ghost");
  const NameClaim claim(scratch.path(), "alive");
  const UniqueFd socket = listen_on_unix_socket(claim.socket_path());
  const NameClaim starting(scratch.path(), "starting");
  std::ofstream(scratch.path() / "theirs.lock") << "x";
  CHECK(living_machines(scratch.path()) == std::vector<std::string>{"alive", "starting"});
  CHECK_FALSE(fs::exists(scratch.path() / "ghost.sock"));
  CHECK(fs::exists(claim.socket_path()));
  CHECK(fs::exists(scratch.path() / "theirs.lock"));
  CHECK(living_machines(scratch.path() / "nowhere").empty());
}

TEST_CASE("a socket that another program listens on is not taken away") {
  const ScratchDirectory scratch;
  const UniqueFd theirs = listen_on_unix_socket(scratch.path() / "docker.sock");
  const NameClaim claim(scratch.path(), "docker");
  CHECK(connect_to_unix_socket(scratch.path() / "docker.sock"));
}

TEST_CASE("the control socket is for its user alone, whatever the umask") {
  const ScratchDirectory scratch;
  const mode_t before = ::umask(0);
  const UniqueFd socket = listen_on_unix_socket(scratch.path() / "x.sock");
  ::umask(before);
  CHECK(mode_of(scratch.path() / "x.sock") == 0600);
}

TEST_CASE("a runtime directory with a long path works, though socket addresses are short") {
  const ScratchDirectory scratch;
  const fs::path directory = scratch.path() / std::string(100, 'd');
  create_runtime_directory(directory);
  const UniqueFd socket = listen_on_unix_socket(directory / "x.sock");
  CHECK(fs::exists(directory / "x.sock"));
  CHECK(connect_to_unix_socket(directory / "x.sock"));
}

TEST_CASE("the runtime directory follows the environment") {
  ::setenv("TINTYPE_RUNTIME_DIR", "/one", 1);
  ::setenv("XDG_RUNTIME_DIR", "/two", 1);
  CHECK(runtime_directory() == "/one");
  ::unsetenv("TINTYPE_RUNTIME_DIR");
  CHECK(runtime_directory() == "/two/tintype");
  ::unsetenv("XDG_RUNTIME_DIR");
  CHECK(runtime_directory() == "/run/tintype");
}

namespace {

/// An environment variable, set or not, for as long as this lives.
class Environment {
 public:
  Environment(const char* name, const char* value) : name_(name) {
    if (const char* before = std::getenv(name)) before_ = before;
    value == nullptr ? ::unsetenv(name) : ::setenv(name, value, 1);
  }
  ~Environment() { before_ ? ::setenv(name_, before_->c_str(), 1) : ::unsetenv(name_); }

 private:
  const char* name_;
  std::optional<std::string> before_;
};

}  // namespace

TEST_CASE("with and without a session's directory the same machines are found") {
  const fs::path of_user = fmt::format("/run/user/{}/tintype", ::getuid());
  const Environment unset("TINTYPE_RUNTIME_DIR", nullptr);
  {
    const Environment cron("XDG_RUNTIME_DIR", nullptr);
    CHECK(runtime_directory() == "/run/tintype");
    CHECK(lookup_directories() == std::vector<fs::path>{"/run/tintype", of_user});
  }
  const Environment login("XDG_RUNTIME_DIR", of_user.parent_path().c_str());
  CHECK(runtime_directory() == of_user);
  CHECK(lookup_directories() == std::vector<fs::path>{of_user, "/run/tintype"});
}

TEST_CASE("a directory that was named is the only one") {
  const Environment named("TINTYPE_RUNTIME_DIR", "/somewhere");
  CHECK(lookup_directories() == std::vector<fs::path>{"/somewhere"});
}

TEST_CASE("a machine is found where it holds its name, and a killed one is not") {
  const ScratchDirectory scratch;
  const Environment named("TINTYPE_RUNTIME_DIR", scratch.path().c_str());
  CHECK_FALSE(directory_of_machine("m").has_value());
  leave_dead_machine(scratch.path(), "m");
  CHECK_FALSE(directory_of_machine("m").has_value());
  NameClaim claim(scratch.path(), "m");
  CHECK(directory_of_machine("m") == scratch.path());
  claim.release();
  CHECK_FALSE(directory_of_machine("m").has_value());
  CHECK(NameClaim::try_take(scratch.path(), "m").has_value());
}

TEST_CASE("who is on his way out holds no name, though it is locked still") {
  const ScratchDirectory scratch;
  const Environment named("TINTYPE_RUNTIME_DIR", scratch.path().c_str());
  const NameClaim lock(scratch.path(), "m");
  const pid_t dead = ::fork();
  if (dead == 0) ::_exit(0);
  siginfo_t end{};
  REQUIRE(::waitid(P_PID, static_cast<id_t>(dead), &end, WEXITED | WNOWAIT) == 0);
  std::ofstream(scratch.path() / "m.tintype-lock") << dead;
  CHECK_FALSE(directory_of_machine("m").has_value());
  ::waitpid(dead, nullptr, 0);  // from here on such a number may be one of another PID namespace
  CHECK(directory_of_machine("m") == scratch.path());
}

TEST_CASE("how a machine ended is written and read by one list of fields") {
  const ScratchDirectory scratch;
  CHECK_FALSE(read_end_record(scratch.path(), "m").has_value());
  write_end_record(scratch.path(), {"m", "ended", 15, "debug-exit 15", "2024-05-01T12:34:56Z", std::nullopt});
  const auto record = read_end_record(scratch.path(), "m");
  REQUIRE(record.has_value());
  CHECK(record->exit_code == 15);
  CHECK(record->reason == "debug-exit 15");
  CHECK_FALSE(record->log.has_value());
  std::ofstream(scratch.path() / "m.end") << "rubbish";
  CHECK_FALSE(read_end_record(scratch.path(), "m").has_value());
  remove_end_record(scratch.path(), "m");
  CHECK_FALSE(fs::exists(scratch.path() / "m.end"));
}

TEST_CASE("an end that cannot be kept leaves nothing that looks like one") {
  const ScratchDirectory scratch;
  fs::create_directories(scratch.path() / "m.end" / "in the way");
  write_kept_console(scratch.path(), "m", "printed");
  CHECK_THROWS_AS(write_end_record(scratch.path(), {"m", "ended", 0, "power-off", "", std::nullopt}),
                  std::system_error);
  CHECK(fs::exists(scratch.path() / "m.end" / "in the way"));
  CHECK_FALSE(fs::exists(scratch.path() / "m.console"));
  CHECK(std::distance(fs::directory_iterator(scratch.path()), fs::directory_iterator()) == 1);
}
