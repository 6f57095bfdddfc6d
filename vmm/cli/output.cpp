// SPDX-License-Identifier: Apache-2.0
#include "vmm/cli/output.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include <nlohmann/json.hpp>

#include "vmm/base/error.h"
#include "vmm/base/log.h"
#include "vmm/base/printable.h"
#include "vmm/cli/progress_bar.h"

namespace tintype {

Output::Output(bool json) : json_(json) {}
Output::~Output() = default;

void Output::result(const nlohmann::json& object) {
  if (json_) result_text(object.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
}

void Output::result_text(const std::string& object) {
  if (!json_) return;
  result_printed_ = true;  // even where it cannot be: half an object is not made better by another
  print_line(object);
}

void Output::text(const char* key, const std::string& text) {
  if (json_) result({{key, text}});
  line("{}", text);
}

void Output::error(const std::string& sentence) {
  end_progress();
  std::string one_line = sentence;
  std::replace(one_line.begin(), one_line.end(), '\n', ' ');
  log_line(one_line);
  try {
    if (json_ && !result_printed_) result({{"error", one_line}});
  } catch (const Error&) {  // the sentence stands on stderr, and the exit status is not 0 anyway
  }
}

ProgressSink Output::progress() {
  if (::isatty(STDERR_FILENO) == 0) return {};
  bar_ = std::make_unique<ProgressBar>();
  return [this](const Progress& progress) {
    if (bar_) bar_->show(progress);
  };
}

void Output::end_progress() noexcept { bar_.reset(); }

void Output::print_line(const std::string& line) {
  end_progress();
  const std::string text = printable(line);
  const bool printed = std::fwrite(text.data(), 1, text.size(), stdout) == text.size() &&
                       std::fputc('\n', stdout) != EOF && std::fflush(stdout) == 0;
  if (!printed && errno == EPIPE) throw ReaderGone("stdout cannot be written: {}", errno_text(errno));
  if (!printed) throw Error("stdout cannot be written: {}", errno_text(errno));
}

}  // namespace tintype
