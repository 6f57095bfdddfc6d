// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/s3/known_objects.h"

namespace tintype {
namespace {

/// Some stores put it into quotation marks in one answer and not in the other.
std::string bare(std::string tag) {
  std::erase(tag, '"');
  return tag;
}

}  // namespace

std::optional<std::string> KnownObjects::read(const std::string& name) {
  const auto content = client_->get(name);
  if (content) {
    note(name, content->tag, content->bytes);
    return content->bytes;
  }
  const std::lock_guard lock(mutex_);
  known_.erase(name);
  return std::nullopt;
}

std::optional<std::string> KnownObjects::read(const std::string& name, const std::string& tag) {
  {
    const std::lock_guard lock(mutex_);
    const auto found = known_.find(name);
    if (found != known_.end() && !found->second.tag.empty() && found->second.tag == bare(tag))
      return found->second.text;
  }
  return read(name);
}

void KnownObjects::write(const std::string& name, const std::string& text) {
  note(name, client_->put(name, text), text);
}

bool KnownObjects::has(const std::string& name) const {
  const std::lock_guard lock(mutex_);
  return known_.contains(name);
}

void KnownObjects::keep_only(const std::set<std::string>& names) {
  const std::lock_guard lock(mutex_);
  std::erase_if(known_, [&](const auto& entry) { return !names.contains(entry.first); });
}

void KnownObjects::note(const std::string& name, std::string tag, const std::string& text) {
  const std::lock_guard lock(mutex_);
  known_[name] = {bare(std::move(tag)), text};
}

}  // namespace tintype
