// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/standby/key_file.h"

#include <fcntl.h>

#include <sys/stat.h>

#include <charconv>

#include "vmm/base/error.h"
#include "vmm/base/io.h"

namespace tintype {

namespace {

constexpr std::size_t kFewestDigits = 32, kMostBytes = 4096;

void check_private(int fd, const std::filesystem::path& file) {
  struct stat status {};
  if (::fstat(fd, &status) != 0) throw_errno("fstat {}", file.string());
  if (!S_ISREG(status.st_mode)) throw Error("the key {} is no file", file.string());
  if ((status.st_mode & 077) != 0)
    throw Error("others than its owner may use the key {}: chmod 600 it, or make a new one", file.string());
}

std::string read_all(const std::filesystem::path& file) {
  try {
    const UniqueFd fd = open_file(file, O_RDONLY | O_NONBLOCK);
    check_private(fd.get(), file);
    const std::uint64_t bytes = file_size(fd.get(), file.string());
    if (bytes > kMostBytes) throw Error("{} is too long for a key", file.string());
    std::string text(bytes, '\0');
    read_exactly(fd.get(), std::as_writable_bytes(std::span(text)), 0, file.string());
    return text;
  } catch (const std::system_error& error) {
    throw Error("the key {} cannot be read: {}", file.string(), errno_text(error.code().value()));
  }
}

}  // namespace

std::vector<std::byte> read_key_file(const std::filesystem::path& file) {
  std::string text = read_all(file);
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' ')) text.pop_back();
  std::vector<std::byte> key;
  for (std::size_t at = 0; at + 1 < text.size(); at += 2) {
    unsigned value = 0;
    const auto [end, failure] = std::from_chars(text.data() + at, text.data() + at + 2, value, 16);
    if (failure != std::errc() || end != text.data() + at + 2) break;
    key.push_back(static_cast<std::byte>(value));
  }
  if (text.size() < kFewestDigits || key.size() * 2 != text.size()) {
    throw Error("{} holds no key: make one with `(umask 077; openssl rand -hex 32 >{})`, and copy it to both computers",
                file.string(), file.string());
  }
  return key;
}

}  // namespace tintype
