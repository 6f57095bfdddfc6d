// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <mutex>
#include <string>
#include <string_view>

namespace tintype {

/// What pages are told, as server-sent events (HTML standard, 9.2): a log with a bound, and how far each reader is.
/// Any thread.
class PageFeed {
 public:
  class Reader;

  /// `wake` is called, with the feed locked, for a reader that waits and has something to read, or shall end.
  explicit PageFeed(std::function<void(void* reader)> wake) : wake_(std::move(wake)) {}

  /// `kind`: "sample", "event", "said" or "end". Of samples a new reader gets the last one, of events the last 64.
  void publish(std::string_view kind, std::string_view json);
  /// Readers get what is left, then the end.
  void end();

  /// `name` is what wake is called with.
  Reader* open(void* name);
  void close(Reader* reader);
  /// How many there are.
  std::size_t readers() const;

  enum class Got : std::uint8_t { kBytes, kNothing, kEnd };
  struct Piece {
    Got got = Got::kNothing;
    std::size_t bytes = 0;
  };
  /// Copies what is next. Where there is nothing, `sleep` is called, with the feed locked, and wake() later.
  Piece read(Reader* reader, char* into, std::size_t room, const std::function<void()>& sleep);

 private:
  static constexpr std::size_t kEventsKept = 64, kLogKept = 256;

  void wake_all();

  const std::function<void(void*)> wake_;
  mutable std::mutex mutex_;  // guards the rest
  std::deque<std::string> log_;
  std::uint64_t first_ = 0;  ///< number of the log's first
  std::deque<std::string> events_;
  std::string sample_;
  bool ended_ = false;
  std::list<Reader> readers_;
};

/// One page.
class PageFeed::Reader {
 private:
  friend class PageFeed;
  void* name_ = nullptr;
  std::string piece_;  ///< not yet read
  std::uint64_t next_ = 0;
  bool sleeps_ = false;
};

}  // namespace tintype
