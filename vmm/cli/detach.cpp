// SPDX-License-Identifier: Apache-2.0
#include "vmm/cli/detach.h"

#include <fcntl.h>
#include <unistd.h>

#include <sys/wait.h>

#include "vmm/base/error.h"
#include "vmm/base/io.h"

namespace tintype {

namespace {

// The first byte of what the child tells its parent; the rest is the sentence.
constexpr char kRunning = 'R', kFailed = 'F', kWrongUsage = 'U';

void redirect(int fd, const std::filesystem::path& path, int flags) {
  const UniqueFd file = open_file(path, flags, 0600);
  if (::dup2(file.get(), fd) < 0) throw_errno("dup2 of {}", path.string());
}

std::string read_all(int fd) {
  std::string text;
  char buffer[1024];
  for (;;) {
    const auto count = ::read(fd, buffer, sizeof buffer);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return text;
    text.append(buffer, static_cast<std::size_t>(count));
  }
}

[[noreturn]] void throw_died(int child) {
  int status = 0;
  ::waitpid(child, &status, 0);
  if (WIFSIGNALED(status))
    throw Error("the machine died of signal {} before it ran: please report this as a defect", WTERMSIG(status));
  throw Error("the machine ended before it ran, with exit status {}", WEXITSTATUS(status));
}

}  // namespace

Detachment::Detachment() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw_errno("pipe2");
  UniqueFd read_end(ends[0]), write_end(ends[1]);
  child_ = ::fork();
  if (child_ < 0) throw_errno("fork");
  pipe_ = is_parent() ? std::move(read_end) : std::move(write_end);
  if (is_parent()) return;
  ::setsid();
  redirect(STDIN_FILENO, "/dev/null", O_RDONLY);
}

void Detachment::wait_until_running() {
  const std::string message = read_all(pipe_.get());
  if (message.empty()) throw_died(child_);
  if (message.front() == kWrongUsage) throw UsageError(message.substr(1));
  if (message.front() == kFailed) throw Error(message.substr(1));
}

void Detachment::report_running(const std::filesystem::path& log) {
  redirect(STDOUT_FILENO, "/dev/null", O_WRONLY);
  redirect(STDERR_FILENO, log, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_NOFOLLOW);
  if (::chdir("/") != 0) throw_errno("chdir /");
  report(std::string(1, kRunning));
}

void Detachment::report_failure(const std::string& sentence, bool wrong_usage) noexcept {
  report((wrong_usage ? kWrongUsage : kFailed) + sentence);
}

void Detachment::report(const std::string& message) noexcept {
  [[maybe_unused]] const auto written = ::write(pipe_.get(), message.data(), message.size());
  pipe_.reset();
}

}  // namespace tintype
