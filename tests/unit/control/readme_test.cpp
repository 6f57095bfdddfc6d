// SPDX-License-Identifier: Apache-2.0
#include <fstream>
#include <map>
#include <regex>
#include <set>

#include <doctest/doctest.h>

#include "vmm/control/methods.h"

using namespace tintype;

namespace {

using Names = std::set<std::string>;

constexpr const char *kMethods = "of methods", *kOther = "of something else";

/// The words between backticks that can be a parameter's or a method's name; what stands in brackets explains.
Names names_in(const std::string& cell) {
  const std::string text = std::regex_replace(cell, std::regex(R"(\([^)]*\))"), "");
  const std::regex word("`([a-z_]+)`");
  Names names;
  for (std::sregex_iterator each(text.begin(), text.end(), word), end; each != end; ++each) names.insert((*each)[1]);
  return names;
}

/// The chapter on the protocol, for those who write a client in another language: which methods it names, and the
/// parameters of each. They stand in the table of methods, or ("below") in a table whose head is "`method` takes".
std::map<std::string, Names> methods_in_readme() {
  std::ifstream readme(TINTYPE_CONTROL_README);
  REQUIRE(readme);
  const std::regex row(R"(\| (.*?) \|(.*?)\|.*)"), head("`([a-z]+)` takes");
  std::map<std::string, Names> methods;
  std::string line, table;
  for (std::smatch cells, name; std::getline(readme, line);) {
    if (!line.starts_with('|')) table.clear();
    if (!std::regex_match(line, cells, row)) continue;
    const std::string first = cells[1], second = cells[2];
    if (table.empty()) {
      table = std::regex_match(first, name, head) ? name[1].str() : first == "method" ? kMethods : kOther;
    } else if (table == kMethods) {
      for (const std::string& method : names_in(first)) methods[method] = names_in(second);
    } else if (table != kOther) {
      methods[table].merge(names_in(first));
    }
  }
  return methods;
}

Names parameters_of(const RpcMethod& method) {
  Names names;
  for (const Parameter& parameter : method.parameters()) names.insert(parameter.name);
  return names;
}

std::string joined(const Names& names) {
  std::string text;
  for (const std::string& name : names) text += name + " ";
  return text;
}

}  // namespace

TEST_CASE("the chapter on the protocol has each method of the table, with exactly its parameters") {
  auto written = methods_in_readme();
  for (const RpcMethod& method : rpc_methods()) {
    CAPTURE(std::string(method.name));
    const auto found = written.find(std::string(method.name));
    REQUIRE(found != written.end());
    CHECK(joined(found->second) == joined(parameters_of(method)));
    written.erase(found);
  }
  for (const char* elsewhere : {"events", "console", "promote"}) CHECK(written.erase(elsewhere) == 1);
  for (const auto& other : written) FAIL_CHECK("there is no such method: ", other.first);
}
