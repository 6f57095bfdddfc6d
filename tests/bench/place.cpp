// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/place.h"

#include <cstdlib>

#include "vmm/base/error.h"

namespace tintype::test {

namespace fs = std::filesystem;

Place::Place(const fs::path& parent) {
  std::string pattern = (fs::absolute(parent) / "tintype-bench-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) throw_errno("mkdtemp {}", pattern);
  path_ = pattern;
}

Place::~Place() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

fs::path Place::unused() { return path_ / std::to_string(++used_); }

std::uint64_t bytes_in(const fs::path& path) {
  if (!fs::is_directory(path)) return fs::file_size(path);
  std::uint64_t bytes = 0;
  for (const auto& entry : fs::recursive_directory_iterator(path))
    if (entry.is_regular_file()) bytes += entry.file_size();
  return bytes;
}

}  // namespace tintype::test
