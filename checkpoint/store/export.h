// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "checkpoint/store/image_file.h"
#include "vmm/base/progress.h"

namespace tintype {

struct ExportedFile {
  std::filesystem::path path;
  std::uint64_t bytes = 0, data_bytes = 0;  ///< length of the file, and data that was written to it
};

/// Memory as a flat sparse file. Offsets are guest physical addresses: where memory goes on above 4 GiB, the
/// hole below 4 GiB is a hole in the file. A regular file of that name is replaced when the new one is whole;
/// anything else there is refused. Throws tintype::Error.
ExportedFile export_memory(const std::filesystem::path& repository, std::optional<std::uint64_t> id,
                           const std::filesystem::path& file, const ProgressSink& progress = {});
/// A disk as an image: raw and sparse, or qcow2.
ExportedFile export_disk(const std::filesystem::path& repository, std::optional<std::uint64_t> id,
                         const std::string& disk, const std::filesystem::path& file, const ProgressSink& progress = {},
                         ImageFormat format = ImageFormat::kRaw);

}  // namespace tintype
