// SPDX-License-Identifier: Apache-2.0
#include "devices/block/image_mark.h"

#include <fcntl.h>
#include <unistd.h>

#include <sys/random.h>
#include <sys/xattr.h>

#include <sstream>

#include "vmm/base/error.h"
#include "vmm/base/unique_fd.h"

namespace tintype {
namespace {

bool parse_id(const std::string& text, ImageMark::Id& id) {
  if (text.size() != 2 * id.size() || text.find_first_not_of("0123456789abcdef") != std::string::npos) return false;
  for (std::size_t i = 0; i < id.size(); ++i)
    id[i] = static_cast<std::uint8_t>(std::stoul(text.substr(2 * i, 2), nullptr, 16));
  return true;
}

}  // namespace

std::string to_text(const ImageMark::Id& id) {
  std::string text;
  for (const std::uint8_t byte : id) text += fmt::format("{:02x}", byte);
  return text;
}

ImageMark::Id new_image_mark_id() {
  ImageMark::Id id{};
  if (::getrandom(id.data(), id.size(), 0) != static_cast<ssize_t>(id.size())) throw_errno("getrandom");
  return id;
}

std::optional<ImageMark> read_image_mark(int fd) {
  std::string value(8192, '\0');
  const ssize_t length = ::fgetxattr(fd, kImageMarkAttribute, value.data(), value.size());
  if (length <= 0) return std::nullopt;
  std::istringstream words(value.substr(0, static_cast<std::size_t>(length)));
  std::string id, directory;
  ImageMark mark;
  if (!(words >> id) || !parse_id(id, mark.id)) return std::nullopt;
  if (words >> mark.first_log >> mark.last_log && words.get() == ' ') std::getline(words, directory, '\0');
  mark.directory = directory;
  return mark;
}

void write_image_mark(int fd, const ImageMark& mark) {
  const std::string text =
      fmt::format("{} {} {} {}", to_text(mark.id), mark.first_log, mark.last_log, mark.directory.string());
  if (::fsetxattr(fd, kImageMarkAttribute, text.data(), text.size(), 0) != 0) ::fremovexattr(fd, kImageMarkAttribute);
}

// The attribute must not come back after a power cut, when the logs are gone. Through a descriptor of our own, so that
// we take no report of lost data from whoever flushes through `fd`.
void clear_image_mark(int fd) {
  if (::fremovexattr(fd, kImageMarkAttribute) != 0) return;
  const UniqueFd own(::open(fmt::format("/proc/self/fd/{}", fd).c_str(), O_RDONLY | O_CLOEXEC));
  if (own) ::fsync(own.get());
}

}  // namespace tintype
