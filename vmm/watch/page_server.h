// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "vmm/base/loopback.h"

namespace tintype {

/// What a page may ask for: the names of buttons, and what does it. Called on a thread of its own, one after the other;
/// returns a sentence, or throws one.
struct PageActions {
  std::vector<std::string> names;
  std::function<std::string(const std::string& name)> carry_out;
  std::function<void()> give_up;  ///< the server ends: who carries out something returns soon. Any thread
};

/// One page over HTTP for whoever has its address, which has a random token in it: GET gives the page and its feed
/// (server-sent events), POST presses a button. Everything else is turned away: no token, a wrong one, or a name of
/// this computer that is not loopback's (a page from elsewhere, whose name has been made to lead here).
///
/// One thread moves bytes for all clients and never waits for one; what a client can make grow has a limit. One that
/// reads slowly misses samples, and one that does not read for a while is hung up on.
class PageServer {
 public:
  /// `page`: HTML, in which every "@NONCE@" becomes what allows its script and style to run.
  PageServer(LoopbackPort port, const std::string& page, PageActions actions);
  /// Gives clients a moment to read the last of the feed.
  ~PageServer();
  PageServer(const PageServer&) = delete;
  PageServer& operator=(const PageServer&) = delete;

  /// http://127.0.0.1:PORT/TOKEN/
  const std::string& url() const noexcept;

  /// Tells all pages, and those that are opened later: of `samples` the last one, of `events` the last 64.
  void publish_sample(const nlohmann::json& sample);
  void publish_event(const nlohmann::json& event);
  /// Nothing comes after this.
  void publish_end(const nlohmann::json& end);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tintype
