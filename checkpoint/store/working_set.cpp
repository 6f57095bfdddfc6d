// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/store/working_set.h"

#include "checkpoint/format/checkpoint_files.h"
#include "checkpoint/format/json_fields.h"
#include "vmm/base/io.h"
#include "vmm/base/unnamed_file.h"

namespace tintype {

namespace {

constexpr const char* kFile = checkpoint_files::kWorkingSet;
constexpr const char* kPages = "pages";

}  // namespace

std::vector<std::uint64_t> read_working_set(const std::filesystem::path& checkpoint) {
  try {
    return json_fields::Json::parse(read_text_file(checkpoint / kFile)).at(kPages).get<std::vector<std::uint64_t>>();
  } catch (const std::exception&) {
    return {};
  }
}

void write_working_set(const std::filesystem::path& checkpoint, std::span<const std::uint64_t> pages) noexcept {
  try {
    const json_fields::Json json = {{kPages, std::vector(pages.begin(), pages.end())}};
    const std::string text = json.dump() + "\n";
    UnnamedFile file(checkpoint);
    write_exactly(file.fd(), std::as_bytes(std::span(text)), 0, kFile);
    file.replace(checkpoint / kFile);
  } catch (const std::exception&) {  // a repository that is read-only, or full, has none
  }
}

}  // namespace tintype
