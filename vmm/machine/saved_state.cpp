// SPDX-License-Identifier: Apache-2.0
#include "vmm/machine/saved_state.h"

#include <algorithm>
#include <vector>

#include "checkpoint/store/repository.h"
#include "checkpoint/store/repository_names.h"
#include "vmm/base/error.h"
#include "vmm/base/io.h"

namespace tintype {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view kSuffix = ".suspended";

bool is_saved_state(const fs::path& path) {
  std::error_code unknown;
  return path.extension() == kSuffix && fs::is_directory(path, unknown);
}

bool holds_machine(const fs::path& state) { return is_saved_state(state) && !Repository::open(state).ids().empty(); }

fs::path without_slash(const fs::path& path) { return path.has_filename() ? path : path.parent_path(); }

}  // namespace

fs::path new_saved_state(const fs::path& directory, const std::string& name) {
  const fs::path state = directory / (name + std::string(kSuffix));
  if (holds_machine(state)) {
    throw Error("a machine is suspended in {} already: resume it, or name another directory with --to", state.string());
  }
  return state;
}

fs::path find_saved_state(const fs::path& directory) {
  const fs::path given = without_slash(directory);
  if (holds_machine(given)) return given;
  std::vector<fs::path> found;
  std::error_code unreadable;
  for (const auto& entry : fs::directory_iterator(given, unreadable))
    if (holds_machine(entry.path())) found.push_back(entry.path());
  if (found.empty())
    throw Error("no machine is suspended in {}: name the directory that `tintype suspend` told of", given.string());
  std::sort(found.begin(), found.end());
  if (found.size() > 1) {
    throw Error("{} machines are suspended in {}: name one of them, such as {}", found.size(), given.string(),
                found.front().string());
  }
  return found.front();
}

void refuse_saved_state(const fs::path& repository) {
  const fs::path state = without_slash(repository);
  if (holds_machine(state))
    throw Error(
        "{0} is a machine that is suspended: go on with it by `tintype resume {0}`, or remove the directory to "
        "give it up",
        state.string());
}

fs::path deciding_name(const fs::path& state, std::uint64_t id) { return state / repository_names::id_name(id); }

// What cannot be removed afterwards is nothing that counts.
void use_up_saved_state(const fs::path& state) {
  Repository repository = Repository::open(state);
  repository.remove(repository.resolve({}));
  std::error_code ignored;
  fs::remove_all(state, ignored);
}

}  // namespace tintype
