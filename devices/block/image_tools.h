// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace tintype {

// What can be done with a disk image while no machine runs on it. Each opens and locks the image itself, finds its logs
// as a machine would, and throws tintype::Error with a sentence: no such image, in use, a log that is damaged, missing
// or another image's.

struct ImageLog {
  std::filesystem::path file;
  std::uint64_t sequence = 0;
  bool kept = false;             ///< an undoable disk's; else a killed machine left it
  bool committing = false;       ///< that has begun, and was cut short
  std::uint64_t bytes = 0;       ///< of the disk that it holds
  std::uint64_t ranges = 0;      ///< in so many pieces
  std::uint64_t left_out = 0;    ///< writes that no flush had covered when the host went down
  std::uint64_t file_bytes = 0;  ///< room that the file takes
};

struct ImageInfo {
  std::filesystem::path image;
  std::uint64_t bytes = 0, allocated_bytes = 0;
  std::vector<ImageLog> logs;                    ///< from the lowest up
  std::vector<std::filesystem::path> void_logs;  ///< what they held lies below, was given up, or was nothing
  std::filesystem::path suspended_in;            ///< its machine's saved state; empty: it is not suspended

  /// Updates wait for the user to say what becomes of them.
  bool has_uncommitted() const noexcept;
};

ImageInfo describe_image(const std::filesystem::path& image, const std::filesystem::path& log_directory);

/// Puts all updates into the image; returns their bytes. Killed half-way, it is to be repeated.
std::uint64_t commit_image(const std::filesystem::path& image, const std::filesystem::path& log_directory);
/// Throws them away, all or none; returns their bytes. Refused where committing them has begun.
std::uint64_t discard_image(const std::filesystem::path& image, const std::filesystem::path& log_directory);

struct ImageDefect {
  std::filesystem::path file;
  std::string what;
  bool mended = false;
};
/// Everything that is wrong with the image and its logs. `repair`: what can be mended without losing anything is; the
/// rest is left as it is.
std::vector<ImageDefect> check_image(const std::filesystem::path& image, const std::filesystem::path& log_directory,
                                     bool repair);

/// Reads the image through its logs and hands over what may be other than zero, in order, in whole sectors. `prepare`
/// is told the size of the disk first. Changes nothing. Returns the bytes of updates that are not in the image yet.
using ImageSink = std::function<void(std::uint64_t offset, std::span<const std::byte> data)>;
std::uint64_t read_image(const std::filesystem::path& image, const std::filesystem::path& log_directory,
                         const std::function<void(std::uint64_t bytes)>& prepare, const ImageSink& sink);

}  // namespace tintype
