// SPDX-License-Identifier: Apache-2.0
#include "tests/support/tintype_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>

#include <sys/prctl.h>
#include <sys/wait.h>

#include <cstdlib>
#include <thread>

#include "vmm/base/error.h"

namespace tintype::test {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

namespace {

struct Pipe {
  UniqueFd read_end, write_end;
};

Pipe make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw_errno("pipe2");
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

/// Everything that the child needs is made before fork(): the parent may have other threads.
pid_t spawn(const std::string& program, const Arguments& arguments, int input, int output, int errors) {
  std::vector<char*> argv{const_cast<char*>(program.c_str())};
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  const pid_t pid = ::fork();
  if (pid < 0) throw_errno("fork");
  if (pid > 0) return pid;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // a test that is killed leaves no machine behind
  ::dup2(input, STDIN_FILENO);
  ::dup2(output, STDOUT_FILENO);
  ::dup2(errors, STDERR_FILENO);
  ::execvp(program.c_str(), argv.data());
  ::_exit(127);
}

/// The exit code once the process has ended; 256 where a signal ended it; nothing while it runs.
std::optional<int> poll_exit(pid_t pid) {
  int status = 0;
  if (::waitpid(pid, &status, WNOHANG) != pid) return std::nullopt;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

std::optional<int> wait_exit(pid_t pid, Clock::time_point until) {
  while (Clock::now() < until) {
    if (const auto code = poll_exit(pid)) return code;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return std::nullopt;
}

int milliseconds_until(Clock::time_point until) {
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now()).count();
  return static_cast<int>(std::max<std::int64_t>(left, 0));
}

/// Appends what there is to read; false at the end of the stream or of the time.
bool read_some(int fd, std::string& into, Clock::time_point until) {
  pollfd wait{fd, POLLIN, 0};
  if (::poll(&wait, 1, milliseconds_until(until)) <= 0) return false;
  char buffer[4096];
  const auto count = ::read(fd, buffer, sizeof buffer);
  if (count > 0) into.append(buffer, static_cast<std::size_t>(count));
  return count > 0;
}

}  // namespace

fs::path build_directory() {
  if (const char* named = std::getenv("TINTYPE_BUILD_DIR")) return named;
  return fs::read_symlink("/proc/self/exe").parent_path().parent_path().parent_path();
}

fs::path guest_image(const std::string& name) { return build_directory() / "guest-images" / (name + ".elf"); }

TestDirectory::TestDirectory() {
  std::string pattern = (fs::temp_directory_path() / "tintype-test-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) throw_errno("mkdtemp {}", pattern);
  path_ = pattern;
  ::setenv("TINTYPE_RUNTIME_DIR", (path_ / "runtime").c_str(), 1);
}

TestDirectory::~TestDirectory() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

fs::path TestDirectory::blank_image(const std::string& name, std::uint64_t bytes) const {
  const fs::path path = path_ / name;
  UniqueFd(::open(path.c_str(), O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0600));
  fs::resize_file(path, bytes);
  return path;
}

CommandResult tintype(const Arguments& arguments, std::chrono::seconds limit) {
  Pipe out = make_pipe(), err = make_pipe();
  const UniqueFd nothing(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const pid_t pid =
      spawn(build_directory() / "tintype", arguments, nothing.get(), out.write_end.get(), err.write_end.get());
  out.write_end.reset();
  err.write_end.reset();
  const auto until = Clock::now() + limit;
  CommandResult result;
  std::thread reader([&] {
    while (read_some(err.read_end.get(), result.err, until)) {
    }
  });
  while (read_some(out.read_end.get(), result.out, until)) {
  }
  reader.join();
  if (const auto code = wait_exit(pid, until)) {
    result.exit_code = *code;
  } else {
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
  }
  return result;
}

MachineProcess::MachineProcess(const Arguments& arguments) : MachineProcess(build_directory() / "tintype", arguments) {}

MachineProcess::MachineProcess(const std::string& program, const Arguments& arguments) {
  Pipe in = make_pipe(), out = make_pipe();
  pid_ = spawn(program, arguments, in.read_end.get(), out.write_end.get(), out.write_end.get());
  input_ = std::move(in.write_end);
  output_ = std::move(out.read_end);
}

MachineProcess::~MachineProcess() { kill(); }

void MachineProcess::type(const std::string& text) {
  [[maybe_unused]] const auto written = ::write(input_.get(), text.data(), text.size());
}

bool MachineProcess::read_more(Clock::time_point until) {
  const std::size_t before = unread_.size();
  const bool more = read_some(output_.get(), unread_, until);
  transcript_.append(unread_, before);
  return more;
}

std::optional<std::string> MachineProcess::wait_for(const std::string& text, std::chrono::milliseconds limit) {
  const auto until = Clock::now() + limit;
  for (;;) {
    for (std::size_t end; (end = unread_.find('\n')) != std::string::npos;) {
      const std::string line = unread_.substr(0, end);
      unread_.erase(0, end + 1);
      if (line.find(text) != std::string::npos) return line;
    }
    if (!read_more(until)) return std::nullopt;
  }
}

void MachineProcess::kill() {
  if (exit_code_) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
  exit_code_ = -1;
}

int MachineProcess::wait(std::chrono::milliseconds limit) {
  const auto until = Clock::now() + limit;
  while (!exit_code_ && Clock::now() < until) {
    read_more(Clock::now() + std::chrono::milliseconds(5));  // a full pipe would keep it from ending
    exit_code_ = poll_exit(pid_);
  }
  if (!exit_code_) kill();
  while (read_more(Clock::now())) {
  }
  return *exit_code_;
}

}  // namespace tintype::test
