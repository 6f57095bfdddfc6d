// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include <fmt/format.h>
#include <nlohmann/json_fwd.hpp>

#include "vmm/base/error.h"
#include "vmm/base/progress.h"

namespace tintype {

class ProgressBar;

/// Whoever read stdout has gone.
class ReaderGone : public Error {
 public:
  using Error::Error;
};

/// Where a verb says what it found: text for people, or with --json one object on stdout, whatever happens.
class Output {
 public:
  explicit Output(bool json);
  ~Output();

  bool json() const noexcept { return json_; }
  void use_json() noexcept { json_ = true; }

  /// The result as JSON; printed where --json was given. Call it once.
  void result(const nlohmann::json& object);
  void result_text(const std::string& object);

  /// A line for people; nothing where --json was given.
  template <typename... Args>
  void line(fmt::format_string<Args...> text, Args&&... args) {
    if (!json_) print_line(fmt::format(text, std::forward<Args>(args)...));
  }

  /// Text that was asked for, such as help; with --json as an object of this one key.
  void text(const char* key, const std::string& text);

  /// One sentence on stderr; with --json also {"error": ...} on stdout, where no result stands there already.
  void error(const std::string& sentence);

  /// Shows progress of long work on stderr, where that is a terminal.
  ProgressSink progress();
  void end_progress() noexcept;

 private:
  /// Error where stdout does not take it: ReaderGone where that is why.
  void print_line(const std::string& line);

  bool json_;
  bool result_printed_ = false;
  std::unique_ptr<ProgressBar> bar_;
};

}  // namespace tintype
