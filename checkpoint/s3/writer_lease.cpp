// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/s3/writer_lease.h"

#include <unistd.h>

#include <sys/stat.h>

#include <ctime>
#include <sstream>

#include "vmm/base/error.h"
#include "vmm/base/io.h"

namespace tintype {
namespace {

/// Goes on while the computer sleeps, as the store's does.
std::chrono::seconds boot_time() noexcept {
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  return std::chrono::seconds(now.tv_sec);
}

std::string first_line(const char* path) {
  const std::string text = read_text_file(path);
  return text.substr(0, text.find('\n'));
}

/// When the process was started, by the 22nd word of /proc/PID/stat, or 0: so that a number that was given anew is no
/// other one's life.
std::uint64_t start_of(std::uint64_t process) {
  std::string text;
  try {
    text = read_text_file(fmt::format("/proc/{}/stat", process));
  } catch (const std::exception&) {
    return 0;
  }
  constexpr int kWordsBefore = 19;  // behind the name, which may hold anything
  std::istringstream words(text.substr(std::min(text.size(), text.rfind(')') + 1)));
  std::string word;
  for (int i = 0; i < kWordsBefore; ++i) words >> word;
  std::uint64_t started = 0;
  words >> started;
  return started;
}

std::string this_computer() {
  struct stat names {};
  if (::stat("/proc/self/ns/pid", &names) != 0) throw_errno("stat /proc/self/ns/pid");
  return fmt::format("{}/{}", first_line("/proc/sys/kernel/random/boot_id"), names.st_ino);
}

}  // namespace

WriterMark WriterMark::of_this_process() {
  const auto process = static_cast<std::uint64_t>(::getpid());
  return {this_computer(), process, start_of(process), 0, 0, {}};
}

// One line: computer, process, start, parent, sealing, and what is replaced, where something is.
std::string WriterMark::text() const {
  return fmt::format("{} {} {} {} {}{}{}\n", computer, process, started, parent, sealing, replaces.empty() ? "" : " ",
                     replaces);
}

// Of another kind than we write: nobody's, until it is old.
WriterMark WriterMark::parse(const std::string& text) {
  WriterMark mark;
  std::istringstream words(text);
  words >> mark.computer >> mark.process >> mark.started >> mark.parent >> mark.sealing;
  if (!words) return {"?", 0, 0, 0, 1, {}};
  words >> mark.replaces;
  return mark;
}

bool WriterMark::is_gone() const { return computer == this_computer() && start_of(process) != started; }

bool WriterMark::is_dead(std::chrono::seconds silent_for) const {
  if (silent_for > WriterLease::kDeadAfter) return true;
  return sealing == 0 && is_gone();
}

WriterLease::WriterLease(S3Client& client, std::string name, WriterMark mark)
    : client_(client), name_(std::move(name)), mark_(std::move(mark)) {
  put();
}

void WriterLease::put() {
  const auto now = boot_time();
  client_.put(name_, mark_.text());
  renewed_ = now;
}

void WriterLease::renew_if_due() {
  const std::lock_guard lock(mutex_);
  const auto silent = boot_time() - renewed_;
  if (silent > kLongestSilence)
    throw Error(
        "nothing has been heard of this checkpoint for {} minutes, and others may have removed it from {}: take "
        "it again",
        std::chrono::duration_cast<std::chrono::minutes>(silent).count(), client_.location().name());
  if (silent > kRenewed) put();
}

void WriterLease::note_sealing(std::uint64_t id) {
  renew_if_due();
  const std::lock_guard lock(mutex_);
  mark_.sealing = id;
  put();
}

}  // namespace tintype
