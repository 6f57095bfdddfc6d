// SPDX-License-Identifier: Apache-2.0
#include "vmm/watch/page_feed.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace tintype {

void PageFeed::publish(std::string_view kind, std::string_view json) {
  std::string message = fmt::format("event: {}\ndata: {}\n\n", kind, json);
  const std::lock_guard lock(mutex_);
  if (kind == "sample") sample_ = message;
  if (kind == "event") {
    events_.push_back(message);
    if (events_.size() > kEventsKept) events_.pop_front();
  }
  log_.push_back(std::move(message));
  if (log_.size() > kLogKept) log_.pop_front(), ++first_;
  wake_all();
}

void PageFeed::end() {
  const std::lock_guard lock(mutex_);
  ended_ = true;
  wake_all();
}

void PageFeed::wake_all() {
  for (Reader& reader : readers_)
    if (std::exchange(reader.sleeps_, false)) wake_(reader.name_);
}

PageFeed::Reader* PageFeed::open(void* name) {
  const std::lock_guard lock(mutex_);
  Reader& reader = readers_.emplace_back();
  reader.name_ = name;
  reader.next_ = first_ + log_.size();
  for (const std::string& event : events_) reader.piece_ += event;
  reader.piece_ += sample_;
  return &reader;
}

void PageFeed::close(Reader* reader) {
  const std::lock_guard lock(mutex_);
  readers_.remove_if([reader](const Reader& each) { return &each == reader; });
}

std::size_t PageFeed::readers() const {
  const std::lock_guard lock(mutex_);
  return readers_.size();
}

PageFeed::Piece PageFeed::read(Reader* reader, char* into, std::size_t room, const std::function<void()>& sleep) {
  const std::lock_guard lock(mutex_);
  reader->next_ = std::max(reader->next_, first_);  // what it was too slow for is gone
  if (reader->piece_.empty() && reader->next_ < first_ + log_.size()) reader->piece_ = log_[reader->next_++ - first_];
  if (reader->piece_.empty()) {
    if (ended_) return {Got::kEnd, 0};
    reader->sleeps_ = true;
    sleep();
    return {Got::kNothing, 0};
  }
  const std::size_t count = std::min(room, reader->piece_.size());
  reader->piece_.copy(into, count);
  reader->piece_.erase(0, count);
  return {Got::kBytes, count};
}

}  // namespace tintype
