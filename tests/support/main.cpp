// SPDX-License-Identifier: Apache-2.0
// What every test program starts with. doctest calls a test case passed that returned early or checked nothing; here it
// has to say so (SKIP_TEST), in a line that tools/test counts, or it fails the program.
#define DOCTEST_CONFIG_IMPLEMENT
#include <cstdio>
#include <string>
#include <utility>

#include <doctest/doctest.h>

#include "tests/support/skip.h"

namespace tintype::test {

namespace {

std::string& reason() {
  static std::string text;
  return text;
}

int& empty_cases() {
  static int count = 0;
  return count;
}

/// Prints "skip NAME: why" and "empty NAME: ..." once for each test case, whatever its subcases did.
struct SkipListener : doctest::IReporter {
  explicit SkipListener(const doctest::ContextOptions&) {}
  void test_case_start(const doctest::TestCaseData& test) override {
    name_ = test.m_name;
    reason().clear();
  }
  void test_case_end(const doctest::CurrentTestCaseStats& result) override {
    if (result.failure_flags != doctest::TestCaseFailureReason::None) return;
    if (!reason().empty()) {
      std::printf("\nskip %s: %s\n", name_, reason().c_str());
    } else if (result.numAssertsCurrentTest == 0) {
      std::printf("\nempty %s: it checked nothing\n", name_);
      ++empty_cases();
    }
    std::fflush(stdout);
  }
  void test_run_start() override {}
  void test_run_end(const doctest::TestRunStats&) override {}
  void test_case_reenter(const doctest::TestCaseData&) override {}
  void test_case_exception(const doctest::TestCaseException&) override {}
  void test_case_skipped(const doctest::TestCaseData&) override {}
  void subcase_start(const doctest::SubcaseSignature&) override {}
  void subcase_end() override {}
  void log_assert(const doctest::AssertData&) override {}
  void log_message(const doctest::MessageData&) override {}
  void report_query(const doctest::QueryData&) override {}

 private:
  const char* name_ = "";
};

REGISTER_LISTENER("skip", 1, SkipListener);

}  // namespace

void skipped(std::string why) { reason() = std::move(why); }

}  // namespace tintype::test

int main(int argc, char** argv) {
  doctest::Context context(argc, argv);
  const int result = context.run();
  if (context.shouldExit()) return result;
  return result != 0 || tintype::test::empty_cases() != 0 ? 1 : 0;
}
