// SPDX-License-Identifier: Apache-2.0
#include "vmm/cli/doctor_programs.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <string_view>

#include "vmm/base/error.h"
#include "vmm/base/late_library.h"
#include "vmm/base/late_names.h"
#include "vmm/cli/directory_disk.h"
#include "vmm/cli/nbdkit_plugin.h"

namespace tintype {

namespace {

namespace fs = std::filesystem;

/// As a shell would find it; empty where there is none.
fs::path program_in_path(const std::string& name) {
  if (name.find('/') != std::string::npos) return name;
  const char* const given = std::getenv("PATH");
  std::string_view left = given == nullptr ? "/usr/bin:/bin" : given;
  while (!left.empty()) {
    const std::string_view directory = left.substr(0, left.find(':'));
    left.remove_prefix(std::min(left.size(), directory.size() + 1));
    const fs::path program = fs::path(directory) / name;
    if (::access(program.c_str(), X_OK) == 0) return program;
  }
  return {};
}

Finding examine_nbdkit() {
  const fs::path program = program_in_path("nbdkit");
  if (program.empty()) return {"nbdkit", "missing: no serve", "install the package nbdkit", Health::kLimited};
  try {
    return {"nbdkit", fmt::format("{}, with {}", program.string(), nbdkit_plugin().string()), {}, Health::kGood};
  } catch (const Error& missing) {
    return {"nbdkit", "without our plug-in: no serve", missing.what(), Health::kLimited};
  }
}

Finding examine_mke2fs() {
  const fs::path program = program_in_path(mke2fs_program());
  if (!program.empty()) return {"mke2fs", program.string(), {}, Health::kGood};
  return {"mke2fs", "missing: no --disk dir:PATH", "install the package e2fsprogs", Health::kLimited};
}

/// `name` as LateLibrary wants it; null where the program was built without it.
Finding examine_library(const std::string& subject, const char* name, const std::string& used_for) {
  if (name == nullptr) {
    return {subject, fmt::format("not in this build: no {}", used_for),
            "run tools/setup build, then `meson setup --reconfigure BUILD`, and build again", Health::kLimited};
  }
  try {
    const LateLibrary library(name);
    return {subject, fmt::format("loads (for {})", used_for), {}, Health::kGood};
  } catch (const Error& failure) {
    return {subject, fmt::format("missing: no {}", used_for), failure.what(), Health::kLimited};
  }
}

#ifdef TINTYPE_MICROHTTPD
constexpr const char* kMicrohttpd = TINTYPE_MICROHTTPD;
#else
constexpr const char* kMicrohttpd = nullptr;
#endif

}  // namespace

std::vector<Finding> examine_programs() {
  return {examine_nbdkit(),
          examine_mke2fs(),
          examine_library("libcurl", TINTYPE_CURL, "repositories in s3:// buckets"),
          examine_library("GnuTLS", TINTYPE_GNUTLS, "standby"),
          examine_library("libmicrohttpd", kMicrohttpd, "watch --listen"),
          examine_library("Capstone", TINTYPE_CAPSTONE, "disassembly")};
}

}  // namespace tintype
