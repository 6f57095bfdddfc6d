// SPDX-License-Identifier: Apache-2.0
// The program that a stock Linux guest runs in the rig tests. It appends numbered lines to a file, fsyncs each, and
// only then says the number on the console; the number that comes next is kept in memory alone. So console, memory and
// disk can be held against each other: a machine restored from a checkpoint must go on with the next number, on a disk
// that holds exactly the lines before it.
//
// A second thread sweeps a region of memory, adding one to each word and checking each on the way: a page that a
// checkpoint lost or tore is found within a sweep.
//
// usage: line-writer FILE [lines=N] [every=MILLISECONDS]
// Ends after N lines (0: never), or when it reads a 'q' on standard input. Exit code 0 when all it checked was right.
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <sys/random.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cinttypes>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace {

constexpr std::size_t kLineLength = 32;       // a line on disk, newline included
constexpr std::size_t kBlock = 4096;          // alignment that O_DIRECT asks for
constexpr std::size_t kSweptWords = 2 << 20;  // 16 MiB
constexpr std::uint64_t kAuditEvery = 16;     // lines between two comparisons of the whole file with what it must be

/// Prints "BROKEN ..." and ends. The machine is then powered off with that as its last word.
[[noreturn, gnu::format(printf, 1, 2)]] void broken(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  std::printf("BROKEN ");
  std::vprintf(format, arguments);
  std::printf("\n");
  va_end(arguments);
  std::fflush(stdout);
  std::_Exit(1);
}

/// Line `number` as it lies in the file: always kLineLength bytes, different in more than one place from its
/// neighbours.
std::string line_text(std::uint64_t number) {
  char text[kLineLength + 1];
  std::snprintf(text, sizeof text, "%012" PRIu64 " %016" PRIx64 "..\n", number, number * 0x9e3779b97f4a7c15);
  return {text, kLineLength};
}

/// Adds one to each word of its region, for ever. At any instant all words below the hand are one ahead of those above.
class Sweeper {
 public:
  Sweeper() : words_(kSweptWords), thread_([this] { sweep(); }) { thread_.detach(); }
  std::uint64_t sweeps() const { return sweeps_; }

 private:
  void sweep() {
    for (std::uint64_t step = 0;; ++step, ++sweeps_) {
      for (std::size_t i = 0; i < words_.size(); ++i) {
        if (words_[i] != step) broken("memory: word %zu is %" PRIu64 ", not %" PRIu64, i, words_[i], step);
        words_[i] = step + 1;
      }
    }
  }

  std::vector<std::uint64_t> words_;
  std::atomic<std::uint64_t> sweeps_ = 0;
  std::thread thread_;  // last: it uses the others
};

/// The file of lines.
class LineFile {
 public:
  explicit LineFile(const char* path) : path_(path), file_(::open(path, O_WRONLY | O_CREAT | O_APPEND, 0644)) {
    if (file_ < 0) broken("cannot open %s: %s", path, std::strerror(errno));
  }

  void append(std::uint64_t number) {
    const std::string text = line_text(number);
    if (::write(file_, text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
      broken("cannot write line %" PRIu64 ": %s", number, std::strerror(errno));
    }
    if (::fsync(file_) != 0) broken("cannot fsync line %" PRIu64 ": %s", number, std::strerror(errno));
  }

  /// Compares the file with lines 1 to `last`, once as the page cache has it and once straight from the disk.
  void audit(std::uint64_t last) const {
    audit_through("page cache", O_RDONLY, last);
    audit_through("disk", O_RDONLY | O_DIRECT, last);
  }

 private:
  void audit_through(const char* way, int flags, std::uint64_t last) const {
    const std::string content = read_all(flags);
    const std::uint64_t lines = content.size() / kLineLength;
    if (content.size() % kLineLength != 0 || lines != last) {
      broken("%s: the file has %zu bytes, not %" PRIu64 " lines", way, content.size(), last);
    }
    for (std::uint64_t number = 1; number <= last; ++number) {
      const std::string_view found(content.data() + (number - 1) * kLineLength, kLineLength);
      if (found != line_text(number)) broken("%s: line %" PRIu64 " is wrong", way, number);
    }
  }

  std::string read_all(int flags) const {
    const int file = ::open(path_, flags);
    if (file < 0) broken("cannot read %s: %s", path_, std::strerror(errno));
    const std::size_t room = 256 * kBlock;
    auto* buffer = static_cast<char*>(std::aligned_alloc(kBlock, room));
    std::string content;
    for (ssize_t got; (got = ::read(file, buffer, room)) != 0;) {
      if (got < 0) broken("cannot read %s: %s", path_, std::strerror(errno));
      content.append(buffer, static_cast<std::size_t>(got));
    }
    std::free(buffer);
    ::close(file);
    return content;
  }

  const char* path_;
  int file_;
};

/// Watches the clocks: neither may run backwards, and the monotonic one may not leap (the time between a checkpoint and
/// its restore must not count).
class ClockWatch {
 public:
  void look() {
    const auto now = std::chrono::steady_clock::now();
    if (now < last_) broken("clock: the monotonic clock went backwards");
    longest_ = std::max(longest_, now - last_);
    last_ = now;
  }
  long longest_ms() const { return std::chrono::duration_cast<std::chrono::milliseconds>(longest_).count(); }

 private:
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
  std::chrono::steady_clock::duration longest_{};
};

/// True when a 'q' came in within `milliseconds`.
bool asked_to_quit(int milliseconds) {
  pollfd waiting{.fd = STDIN_FILENO, .events = POLLIN, .revents = 0};
  char key = 0;
  if (::poll(&waiting, 1, milliseconds) <= 0 || (waiting.revents & POLLIN) == 0) return false;
  return ::read(STDIN_FILENO, &key, 1) == 1 && key == 'q';
}

std::uint64_t number_after(std::string_view argument, std::string_view key, std::uint64_t otherwise) {
  return argument.starts_with(key) ? std::strtoull(argument.data() + key.size(), nullptr, 10) : otherwise;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) broken("usage: line-writer FILE [lines=N] [every=MILLISECONDS]");
  std::uint64_t lines = 0;
  std::uint64_t every = 20;
  for (int i = 2; i < argc; ++i) {
    lines = number_after(argv[i], "lines=", lines);
    every = number_after(argv[i], "every=", every);
  }
  // Kept in memory only: a machine that was rebooted has another, one that was restored has the same.
  std::uint32_t nonce = 0;
  if (::getrandom(&nonce, sizeof nonce, 0) != sizeof nonce) broken("no random numbers");

  LineFile file(argv[1]);
  file.audit(0);
  std::printf("line-writer: started, nonce %08x\n", nonce);
  Sweeper sweeper;
  ClockWatch clock;
  std::uint64_t number = 0;
  while (lines == 0 || number < lines) {
    file.append(++number);
    clock.look();
    std::printf("line %" PRIu64 " nonce %08x\n", number, nonce);
    if (number % kAuditEvery == 0) {
      file.audit(number);
      std::printf("audit %" PRIu64 " ok, sweeps %" PRIu64 ", longest gap %ld ms\n", number, sweeper.sweeps(),
                  clock.longest_ms());
    }
    std::fflush(stdout);
    if (asked_to_quit(static_cast<int>(every))) break;
  }
  file.audit(number);
  std::printf("line-writer: done, %" PRIu64 " lines, nonce %08x\n", number, nonce);
  std::fflush(stdout);
  std::_Exit(0);
}
