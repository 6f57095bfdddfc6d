// SPDX-License-Identifier: Apache-2.0
#include "vmm/cli/nbdkit_plugin.h"

#include <cstdlib>

#include "vmm/base/error.h"

namespace tintype {

namespace fs = std::filesystem;

namespace {

#ifdef TINTYPE_HAS_NBDKIT_PLUGIN
constexpr const char* kRemedy = "build it (`ninja -C BUILD installed`), and install it with the program";
#else
constexpr const char* kRemedy =
    "this program was built without it: install nbdkit-plugin-dev (tools/setup does), then "
    "`meson setup --reconfigure BUILD` and `ninja -C BUILD installed`";
#endif

}  // namespace

fs::path nbdkit_plugin() {
  if (const char* given = std::getenv("TINTYPE_NBDKIT_PLUGIN")) return given;
  constexpr const char* kName = "nbdkit-tintype-plugin.so";
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error).parent_path();
  for (const fs::path& directory : {program / "checkpoint" / "nbd", fs::path(TINTYPE_LIBRARY_DIRECTORY)}) {
    if (fs::exists(directory / kName, error)) return directory / kName;
  }
  throw Error("{} is not here: {}", kName, kRemedy);
}

}  // namespace tintype
