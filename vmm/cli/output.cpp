// SPDX-License-Identifier: Apache-2.0
#include "vmm/cli/output.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include <nlohmann/json.hpp>

#include "vmm/base/log.h"
#include "vmm/cli/progress_bar.h"

namespace tintype {

Output::Output(bool json) : json_(json) {}
Output::~Output() = default;

void Output::result(const nlohmann::json& object) {
  if (json_) result_text(object.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
}

void Output::result_text(const std::string& object) {
  if (!json_) return;
  end_progress();
  print_line(object);
  result_printed_ = true;
}

void Output::error(const std::string& sentence) {
  end_progress();
  std::string one_line = sentence;
  std::replace(one_line.begin(), one_line.end(), '\n', ' ');
  log_line(one_line);
  if (json_ && !result_printed_) result({{"error", one_line}});
}

ProgressSink Output::progress() {
  if (::isatty(STDERR_FILENO) == 0) return {};
  bar_ = std::make_unique<ProgressBar>();
  return [this](const Progress& progress) {
    if (bar_) bar_->show(progress);
  };
}

void Output::end_progress() noexcept { bar_.reset(); }

void Output::print_line(const std::string& text) {
  end_progress();
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fputc('\n', stdout);
  std::fflush(stdout);
}

}  // namespace tintype
