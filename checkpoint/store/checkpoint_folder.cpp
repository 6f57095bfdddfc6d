// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/store/checkpoint_folder.h"

#include "checkpoint/format/part_format.h"

namespace tintype {

namespace fs = std::filesystem;

std::unique_ptr<ByteSource> DirectoryFolder::open(const std::string& file) const {
  std::error_code error;
  if (!fs::is_regular_file(directory_ / file, error))
    throw ImageError("{} is missing: the checkpoint is not whole", path_of(file));
  return std::make_unique<FileSource>(directory_ / file);
}

std::map<std::string, std::uint64_t> DirectoryFolder::files() const {
  std::map<std::string, std::uint64_t> files;
  for (const auto& entry : fs::directory_iterator(directory_)) {
    std::error_code error;
    const auto bytes = entry.is_regular_file(error) ? entry.file_size(error) : 0;
    files[entry.path().filename().string()] = error ? 0 : bytes;
  }
  return files;
}

}  // namespace tintype
