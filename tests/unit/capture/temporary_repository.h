// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdlib.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <future>
#include <memory>
#include <string>
#include <system_error>

#include <doctest/doctest.h>

#include "checkpoint/capture/options.h"

namespace tintype {

/// A repository of the test's own. A destination's thread may outlive its checkpoint and the test, and be at work in
/// here; so the repository goes when all its users have.
class TemporaryRepository {
 public:
  /// Whoever holds one may write in the repository. A shared one: copies are the same user.
  using User = std::shared_ptr<const void>;

  TemporaryRepository() {
    std::string pattern = (std::filesystem::temp_directory_path() / "tintype-steps-XXXXXX").string();
    path_ = ::mkdtemp(pattern.data());
  }
  ~TemporaryRepository() {
    if (!wait_for_users()) return;  // what is removed under somebody who writes appears again
    std::error_code error;
    std::filesystem::remove_all(path_, error);
    CHECK_MESSAGE(!error, path_.string(), ": ", error.message());
  }
  TemporaryRepository(const TemporaryRepository&) = delete;
  TemporaryRepository& operator=(const TemporaryRepository&) = delete;

  User user() const { return last_; }
  /// Waits until nobody holds one any more. False, and a failed check, where that takes too long. No new ones after it.
  bool wait_for_users() {
    last_.reset();
    const bool gone = gone_.wait_for(std::chrono::minutes(1)) == std::future_status::ready;
    CHECK_MESSAGE(gone, "somebody is still at work in ", path_.string());
    return gone;
  }

  CheckpointOptions options(Strategy strategy = Strategy::kStop) const {
    CheckpointOptions options;
    options.repository = path_;
    options.strategy = strategy;
    return options;
  }
  const std::filesystem::path& path() const { return path_; }
  /// Nothing but the lock file: no checkpoint, and nothing half-made.
  bool is_empty() const {
    return std::none_of(std::filesystem::directory_iterator(path_), std::filesystem::directory_iterator(),
                        [](const auto& entry) { return entry.is_directory(); });
  }

 private:
  struct LastUser {
    ~LastUser() { gone.set_value(); }
    std::promise<void> gone;
  };
  std::filesystem::path path_;
  std::shared_ptr<LastUser> last_ = std::make_shared<LastUser>();
  std::future<void> gone_ = last_->gone.get_future();
};

}  // namespace tintype
