// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/store/fresh_store.h"

#include "checkpoint/s3/location.h"
#include "checkpoint/store/repository_names.h"

namespace tintype {

namespace fs = std::filesystem;
using namespace repository_names;

FreshStore::FreshStore(const fs::path& name) {
  std::error_code missing;
  if (!S3Location::is_meant_by(name.native()) && !fs::exists(name, missing)) directory_ = fs::absolute(name, missing);
}

// Nobody else begins anything here while its lock is ours.
FreshStore::~FreshStore() {
  std::error_code busy;
  if (directory_.empty() || !fs::is_directory(directory_, busy)) return;
  try {
    const NamesLock lock(directory_);
    bool used = false;
    for_each_name(directory_, [&](const std::string& entry) { used = used || entry != kLockName; });
    if (used) return;
    fs::remove(directory_ / kLockName, busy);
    fs::remove(directory_, busy);
  } catch (const std::exception&) {  // it cannot be locked: somebody is at it
  }
}

}  // namespace tintype
