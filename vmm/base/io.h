// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

#include "vmm/base/unique_fd.h"

namespace tintype {

/// open(2) with O_CLOEXEC; throws std::system_error that names the path.
UniqueFd open_file(const std::filesystem::path& path, int flags, unsigned mode = 0644);

/// Whole transfers at an offset: retried on EINTR and short counts. Throw std::system_error naming `what`;
/// read_exactly also throws (EIO) where the file ends too early.
void read_exactly(int fd, std::span<std::byte> into, std::uint64_t offset, const std::string& what);
void write_exactly(int fd, std::span<const std::byte> from, std::uint64_t offset, const std::string& what);

std::uint64_t file_size(int fd, const std::string& what);
void sync_file(int fd, const std::string& what);
/// Lets the device begin on what the cache holds of a file, and waits for nothing. Of several files that begin before
/// any is synced, the first sync turns the file system's journal for all.
void start_writeback(int fd) noexcept;
/// Waits until the data of a file is on the device, not where it lies nor how long it is: that takes sync_file(). False
/// where the file system cannot tell, or it went wrong, which sync_file() will say.
bool wait_for_writeback(int fd) noexcept;
/// fsync of the directory itself, so that a rename or a new name in it lasts.
void sync_directory(const std::filesystem::path& directory);

/// A small text file, whole (at most `limit` bytes, else tintype::Error).
std::string read_text_file(const std::filesystem::path& path, std::size_t limit = 1 << 20);

}  // namespace tintype
