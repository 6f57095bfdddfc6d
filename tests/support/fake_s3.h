// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "vmm/base/unique_fd.h"

namespace tintype::testing {

/// What can go wrong on the way to an object store and back.
enum class Fault : std::uint8_t {
  kNone,
  kRefused,      ///< the connection breaks before the request was read to its end; nothing is done
  kAnswerLost,   ///< it is done, and then the connection breaks
  kAnswerCut,    ///< it is done, and half of the answer comes
  kAnswerTwice,  ///< and the next one is in the way of what comes after
  kLate,         ///< a moment passes
  kUnavailable,  ///< 503
  kTooMany,      ///< 429
  kBadSecret,    ///< 403 SignatureDoesNotMatch; and so on
  kSkewed,
  kQuota,
  kNoBucket,
};

/// An object store in this process, on a port of its own: as much of S3 as Tintype uses. It checks no signature; that
/// is tested with real ones. Before each request `fault` is asked, on some thread, what goes wrong with it.
class FakeS3 {
 public:
  struct Request {
    std::string method, name, query, body;
    std::map<std::string, std::string> headers;
  };
  using ChooseFault = std::function<Fault(const Request&)>;

  FakeS3();
  ~FakeS3();
  FakeS3(const FakeS3&) = delete;
  FakeS3& operator=(const FakeS3&) = delete;

  std::string endpoint() const;
  /// "s3://bucket/PREFIX?endpoint=..."
  std::string place(const std::string& prefix = "film") const;

  /// For requests that come from now on; those that are being done are done when this returns.
  void set_fault(ChooseFault choose);
  /// False: answers 501 to a condition, as Swift does.
  void set_conditions(bool known) { conditions_ = known; }
  /// While it is true nobody gets an answer, and every connection breaks.
  void set_down(bool down) { down_ = down; }

  std::vector<std::string> names() const;
  std::string object(const std::string& name) const;
  void put(const std::string& name, const std::string& bytes);
  void erase(const std::string& name);
  /// As if it had come over a connection: for one that was long on its way.
  void perform(const Request& request) { answer(request); }
  std::size_t open_uploads() const;
  std::uint64_t requests() const { return requests_; }

 private:
  struct Answer {
    int status = 200;
    std::string body;
    std::map<std::string, std::string> headers;
  };
  void accept_all();
  void serve(int fd);
  bool read_request(int fd, std::string& buffer, Request& request);
  Answer answer(const Request& request);
  Answer answer_with(Fault fault, const Request& request);
  ChooseFault begin_request();
  void end_request();
  Answer list(const Request& request) const;
  Answer uploads(const Request& request) const;
  Answer put(const Request& request);
  Answer post(const Request& request);
  Answer get(const Request& request) const;
  Answer remove(const Request& request);
  static Answer failure(int status, const std::string& code);

  UniqueFd listener_;
  int port_ = 0;
  std::atomic<bool> ending_ = false, conditions_ = true, down_ = false;
  std::atomic<std::uint64_t> requests_ = 0, next_upload_ = 1;
  mutable std::mutex mutex_;  // guards the rest
  ChooseFault fault_;
  unsigned being_done_ = 0;
  std::condition_variable all_done_;
  std::map<std::string, std::string> objects_;
  struct Upload {
    std::string name;
    std::map<unsigned, std::string> parts;
  };
  std::map<std::string, Upload> uploads_;
  std::vector<int> connections_;
  std::vector<std::thread> threads_;
  std::thread acceptor_;
};

}  // namespace tintype::testing
