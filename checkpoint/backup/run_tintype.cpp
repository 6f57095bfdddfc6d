// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/backup/run_tintype.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <unistd.h>

#include <sys/mman.h>
#include <sys/wait.h>

#include <array>
#include <chrono>
#include <thread>

#include "vmm/base/error.h"
#include "vmm/base/printable.h"
#include "vmm/base/unique_fd.h"

namespace tintype {
namespace {

/// What a child is given: nothing to read, nowhere to print, `complaints` for what it has to say, no blocked signals.
class SpawnSettings {
 public:
  explicit SpawnSettings(int complaints) {
    ::posix_spawn_file_actions_init(&actions_);
    ::posix_spawn_file_actions_addopen(&actions_, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    ::posix_spawn_file_actions_addopen(&actions_, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    ::posix_spawn_file_actions_adddup2(&actions_, complaints, STDERR_FILENO);
    ::posix_spawnattr_init(&attributes_);
    sigset_t none;
    ::sigemptyset(&none);
    ::posix_spawnattr_setsigmask(&attributes_, &none);
    ::posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGMASK);
  }
  ~SpawnSettings() {
    ::posix_spawn_file_actions_destroy(&actions_);
    ::posix_spawnattr_destroy(&attributes_);
  }
  SpawnSettings(const SpawnSettings&) = delete;
  SpawnSettings& operator=(const SpawnSettings&) = delete;

  pid_t spawn(const std::vector<std::string>& arguments) {
    std::string name = "tintype";
    std::vector<std::string> words = arguments;
    std::vector<char*> pointers{name.data()};
    for (std::string& word : words) pointers.push_back(word.data());
    pointers.push_back(nullptr);
    pid_t child = 0;
    const int failure = ::posix_spawn(&child, "/proc/self/exe", &actions_, &attributes_, pointers.data(), environ);
    if (failure != 0) throw_errno_text(failure, "posix_spawn of this program");
    return child;
  }

 private:
  posix_spawn_file_actions_t actions_{};
  posix_spawnattr_t attributes_{};
};

constexpr auto kGlance = std::chrono::milliseconds(20), kTidyUp = std::chrono::milliseconds(2000);

/// Its exit status, as waitpid() has it. Who is to stop first has time to put away what he made.
int wait_for(pid_t child, const std::atomic<bool>& stop) {
  int status = 0;
  std::chrono::milliseconds patience = kTidyUp;
  for (bool told = false; ::waitpid(child, &status, WNOHANG) == 0; std::this_thread::sleep_for(kGlance)) {
    if (!stop) continue;
    if (!std::exchange(told, true)) ::kill(child, SIGTERM);
    patience -= kGlance;
    if (patience < kGlance) ::kill(child, SIGKILL);
  }
  return status;
}

std::string first_line(int file) {
  std::array<char, 500> text{};
  const auto got = ::pread(file, text.data(), text.size(), 0);
  const std::string_view all(text.data(), got > 0 ? static_cast<std::size_t>(got) : 0);
  return printable(all.substr(0, all.find('\n')));
}

}  // namespace

std::string run_tintype(const std::vector<std::string>& arguments, const std::atomic<bool>& stop) {
  const UniqueFd complaints(::memfd_create("complaints", MFD_CLOEXEC));
  if (!complaints) throw_errno("memfd_create");
  const int status = wait_for(SpawnSettings(complaints.get()).spawn(arguments), stop);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return kGood;
  if (stop) return "broken off";
  const std::string said = first_line(complaints.get());
  return said.empty() ? "it ended without a word" : said;
}

}  // namespace tintype
