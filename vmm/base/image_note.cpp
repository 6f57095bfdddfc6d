// SPDX-License-Identifier: Apache-2.0
#include "vmm/base/image_note.h"

#include <fcntl.h>

#include <sys/xattr.h>

#include <sstream>

#include "vmm/base/error.h"
#include "vmm/base/io.h"

namespace tintype {

namespace {

constexpr const char* kSuspended = "user.tintype.suspended";
constexpr const char* kIncomplete = "user.tintype.incomplete";

/// Nothing where the file has none, or its file system knows none.
std::optional<std::string> read_attribute(int fd, const char* name) {
  std::string value(8192, '\0');
  const ssize_t length = ::fgetxattr(fd, name, value.data(), value.size());
  if (length <= 0) return std::nullopt;
  value.resize(static_cast<std::size_t>(length));
  return value;
}

/// Through a descriptor of our own, so that we take no report of lost data from whoever flushes through `fd`.
void make_durable(int fd, const std::filesystem::path& image) {
  const UniqueFd own = open_file(fmt::format("/proc/self/fd/{}", fd), O_RDONLY);
  sync_file(own.get(), image.string());
}

}  // namespace

bool SuspendNote::counts() const {
  std::error_code unknown;
  return settled || std::filesystem::exists(state, unknown) || unknown;
}

std::optional<SuspendNote> read_suspend_note(int fd) {
  const auto text = read_attribute(fd, kSuspended);
  if (!text) return std::nullopt;
  std::istringstream words(*text);
  SuspendNote note;
  std::string directory;
  words >> note.id >> note.settled >> note.modified_ns;
  if (words && words.get() == ' ') std::getline(words, directory, '\0');
  note.state = directory;
  if (directory.empty()) note.settled = true;  // of another version: it says something, and is not ours to take away
  return note;
}

void write_suspend_note(int fd, const SuspendNote& note, const std::filesystem::path& image) {
  const std::string text =
      fmt::format("{} {} {} {}", note.id, note.settled ? 1 : 0, note.modified_ns, note.state.string());
  if (::fsetxattr(fd, kSuspended, text.data(), text.size(), 0) != 0) {
    throw Error(
        "the disk image {} cannot be told that its machine is suspended ({}): take a checkpoint of the machine instead",
        image.string(), errno_text(errno));
  }
  make_durable(fd, image);
}

void clear_suspend_note(int fd) {
  if (::fremovexattr(fd, kSuspended) == 0) make_durable(fd, "the image");
}

std::optional<IncompleteNote> read_incomplete_note(int fd) {
  const auto text = read_attribute(fd, kIncomplete);
  if (!text) return std::nullopt;
  std::istringstream words(*text);
  IncompleteNote note;
  std::string repository;
  words >> note.identity >> note.id >> note.disk;
  if (words && words.get() == ' ') std::getline(words, repository, '\0');
  note.repository = repository;
  return note;
}

bool write_incomplete_note(int fd, const IncompleteNote& note) {
  const std::string text = fmt::format("{} {} {} {}", note.identity, note.id, note.disk, note.repository.string());
  return ::fsetxattr(fd, kIncomplete, text.data(), text.size(), 0) == 0;
}

void clear_incomplete_note(int fd) {
  // It may be gone, and that not be durable.
  if (::fremovexattr(fd, kIncomplete) == 0 || errno == ENODATA) make_durable(fd, "the image");
}

}  // namespace tintype
