// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>

namespace tintype {

/// A directory that is going to be made for a store: where nothing comes to be in it, it goes again. Made before the
/// store, and destroyed after all that writes to it.
class FreshStore {
 public:
  /// By its name. One that is there already, or lies in a bucket, is left alone.
  explicit FreshStore(const std::filesystem::path& name);
  ~FreshStore();
  FreshStore(const FreshStore&) = delete;
  FreshStore& operator=(const FreshStore&) = delete;

 private:
  std::filesystem::path directory_;  ///< empty: not ours
};

}  // namespace tintype
