// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>

#include "checkpoint/s3/client.h"

namespace tintype {

/// Small objects that were read or written before: one that still has the tag that it had then holds what it held then,
/// and is not asked for again. Any thread.
class KnownObjects {
 public:
  explicit KnownObjects(std::shared_ptr<S3Client> client) : client_(std::move(client)) {}

  /// As it is now; nothing where there is none.
  std::optional<std::string> read(const std::string& name);
  /// As it was when a listing said this tag, or as it is by now.
  std::optional<std::string> read(const std::string& name, const std::string& tag);
  void write(const std::string& name, const std::string& text);
  /// It was there when it was read or written last.
  bool has(const std::string& name) const;
  /// All but these are gone.
  void keep_only(const std::set<std::string>& names);

 private:
  struct Known {
    std::string tag, text;
  };
  void note(const std::string& name, std::string tag, const std::string& text);

  const std::shared_ptr<S3Client> client_;
  mutable std::mutex mutex_;  // guards the rest
  std::map<std::string, Known> known_;
};

}  // namespace tintype
