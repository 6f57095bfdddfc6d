// SPDX-License-Identifier: Apache-2.0
#include <cstdio>

#include <nlohmann/json.hpp>

#include "vmm/cli/console_feed.h"
#include "vmm/cli/machine_call.h"
#include "vmm/cli/output.h"
#include "vmm/cli/verb.h"
#include "vmm/cli/verb_options.h"

namespace tintype {

namespace {

constexpr auto kQuiet = std::chrono::milliseconds(100);  // then all that was printed before has come

class LogsVerb final : public Verb {
 public:
  void declare(VerbOptions& options) override {
    options.positional("NAME", name_, "The machine; one that was detached also after its end");
    options.flag("-f,--follow", follow_, "And what it prints from now on, until it ends");
    options.footer("The last 256 KiB are kept, whatever the serial line is connected to.");
  }

  int run(Output& output) override {
    if (find_orderly_end(name_)) {
      print(find_kept_console(name_), output);
    } else {
      read_living(output);
    }
    output.result({{"name", name_}, {"console", path_to_json(text_)}});
    return 0;
  }

 private:
  void read_living(Output& output) {
    ConsoleReader console(connect_to_machine(name_), kAllOfThePast);
    for (;;) {
      const auto piece = console.next(follow_ ? std::chrono::milliseconds(std::chrono::hours(1)) : kQuiet);
      if (piece) print(*piece, output);
      if (!piece && (console.ended() || !follow_)) break;
    }
  }

  void print(const std::string& text, const Output& output) {
    if (output.json()) {
      text_ += text;
    } else if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0) {
      throw Error("standard output takes no more");
    }
  }

  std::string name_, text_;
  bool follow_ = false;
};

}  // namespace

std::unique_ptr<Verb> make_logs_verb() { return std::make_unique<LogsVerb>(); }

}  // namespace tintype
