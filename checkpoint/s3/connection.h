// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "checkpoint/s3/credentials.h"

namespace tintype {

/// Pieces of memory that are sent one after the other, and hold still.
using Pieces = std::vector<std::span<const std::byte>>;
std::uint64_t bytes_in(const Pieces& pieces) noexcept;

struct HttpRequest {
  std::string method = "GET";
  std::string url;  ///< encoded, query parameters sorted by name
  std::vector<std::string> headers;
  Pieces body;
  std::span<std::byte>
      into;  ///< a good answer's body goes here, as far as there is room; without room, into the answer
};

struct HttpAnswer {
  int status = 0;                              ///< 0: none came, or not all of it
  std::string problem;                         ///< why, where none came
  std::map<std::string, std::string> headers;  ///< names in small letters
  std::string body;
  std::uint64_t received = 0;  ///< bytes of the body

  bool good() const noexcept { return status >= 200 && status < 300; }
  std::string header(const std::string& name) const;
};

/// One connection to an object store, used by one thread at a time; it stays open between requests where the store
/// likes that. Signs what it sends.
class S3Connection {
 public:
  /// A request ends without an answer soon after `stop` has become true.
  S3Connection(const S3Credentials& credentials, const std::string& region, const std::atomic<bool>& stop);
  ~S3Connection();
  S3Connection(const S3Connection&) = delete;
  S3Connection& operator=(const S3Connection&) = delete;

  /// Never throws for what the other side does.
  HttpAnswer perform(const HttpRequest& request);

 private:
  struct Transfer;
  struct Impl;
  const std::unique_ptr<Impl> impl_;
};

}  // namespace tintype
