// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/s3/connection.h"
#include "checkpoint/s3/location.h"
#include "vmm/base/error.h"

namespace tintype {

/// The store cannot be reached, or cannot answer now: whether it has done what it was asked for nobody knows.
class NoAnswer : public Error {
 public:
  using Error::Error;
};

/// The objects under the prefix of a location; names are without it. Any thread; requests of several go at the same
/// time. What fails by the way (a broken connection, 5xx, 429) is done again with growing pauses, until patience is at
/// its end. Everything throws tintype::Error with a sentence that says what to do; DestinationFull where a quota is
/// reached.
class S3Client {
 public:
  /// For how long a request is tried again, from the first failure on.
  static std::chrono::milliseconds default_patience();

  S3Client(S3Location location, S3Credentials credentials, std::chrono::milliseconds patience = default_patience());
  ~S3Client();
  S3Client(const S3Client&) = delete;
  S3Client& operator=(const S3Client&) = delete;

  const S3Location& location() const noexcept { return location_; }
  const S3Credentials& credentials() const noexcept { return credentials_; }

  /// Requests that are under way, and those to come, throw soon. For good.
  void stop() noexcept;

  struct Object {
    std::string name;
    std::uint64_t bytes = 0;
    std::string tag;            ///< another one for each content
    std::int64_t modified = 0;  ///< seconds since 1970, by the store's clock
  };
  struct Listing {
    std::vector<Object> objects;       ///< sorted by name
    std::vector<std::string> folders;  ///< names that go on behind a slash, up to it, where `flat` was false
    std::int64_t now = 0;              ///< by the store's clock
  };
  /// All that begin so. Not flat: up to the next slash only.
  Listing list(const std::string& beginning, bool flat);

  struct Content {
    std::string bytes, tag;
  };
  /// A small object; nothing where there is none.
  std::optional<Content> get(const std::string& name);
  /// How long it is; nothing where there is none.
  std::optional<std::uint64_t> size_of(const std::string& name);
  /// A piece of it: as much as `into` takes, or as there is. Returns how much, and how long all of it is; nothing where
  /// there is no such object.
  struct PieceRead {
    std::uint64_t bytes = 0, total = 0;
  };
  std::optional<PieceRead> read(const std::string& name, std::uint64_t offset, std::span<std::byte> into);

  /// Its tag; empty where the store does not say.
  std::string put(const std::string& name, const Pieces& body);
  std::string put(const std::string& name, std::string_view text);
  enum class Created : std::uint8_t {
    kYes,
    kTaken,      ///< there is one of this name; after a broken connection it may be ours
    kCannotSay,  ///< this store knows no condition; nothing was written
  };
  Created create(const std::string& name, std::string_view text);
  /// Only where its content has this tag. A store that does not know the condition says so, or writes all the same:
  /// look at the tag before.
  enum class Replaced : std::uint8_t {
    kYes,
    kChanged,    ///< it has another tag, or is gone; after a broken connection it may be ours
    kCannotSay,  ///< nothing was written
  };
  Replaced replace(const std::string& name, const std::string& tag, std::string_view text);
  /// There is none of this name afterwards; of these, several at the same time.
  void remove(const std::string& name);
  void remove(const std::vector<std::string>& names);

  /// An object in parts, numbered from 1. Nobody sees it before it is complete.
  std::string begin_upload(const std::string& name);
  std::string put_part(const std::string& name, const std::string& upload, unsigned number, const Pieces& body);
  void complete_upload(const std::string& name, const std::string& upload, const std::vector<std::string>& tags,
                       std::uint64_t bytes);
  void abort_upload(const std::string& name, const std::string& upload);
  struct Upload {
    std::string name, id;
  };
  std::vector<Upload> uploads(const std::string& beginning);

 private:
  class Lease;
  using Query = std::vector<std::pair<std::string, std::string>>;
  HttpRequest request(const char* method, const std::string& name, const Query& query = {}) const;
  /// The last answer, good or bad.
  HttpAnswer perform(const HttpRequest& request);
  void pause(std::chrono::milliseconds time);
  void throw_if_stopped() const;
  [[noreturn]] void throw_refused(const HttpAnswer& answer, const std::string& doing) const;

  const S3Location location_;
  const S3Credentials credentials_;
  const std::chrono::milliseconds patience_;
  std::atomic<bool> stop_ = false;
  std::mutex mutex_;  // guards the rest
  std::condition_variable stopped_;
  std::vector<std::unique_ptr<S3Connection>> idle_;
};

}  // namespace tintype
