// SPDX-License-Identifier: Apache-2.0
#include "vmm/machine/vmcoreinfo.h"

#include <algorithm>
#include <vector>

#include <doctest/doctest.h>

namespace tintype {

namespace {

const std::string kText =
    "OSRELEASE=6.1.0-9-cloud-amd64\nPAGESIZE=4096\nSYMBOL(init_uts_ns)=ffffffff9a2a0000\n"
    "NUMBER(phys_base)=16777216\nKERNELOFFSET=19000000\n";

std::vector<std::byte> page_of(const std::string& text) {
  std::vector<std::byte> page(4096);
  std::ranges::transform(text, page.begin(), [](char byte) { return static_cast<std::byte>(byte); });
  return page;
}

}  // namespace

TEST_CASE("vmcoreinfo is known by its first line and by what every kernel writes") {
  CHECK(vmcoreinfo_in(page_of(kText)) == kText);
  CHECK_FALSE(vmcoreinfo_in(page_of(" " + kText)).has_value());
  CHECK_FALSE(vmcoreinfo_in(page_of("OSRELEASE=6.1\n")).has_value());
  CHECK_FALSE(vmcoreinfo_in(page_of(kText + "no end of a line")).has_value());
  CHECK_FALSE(vmcoreinfo_in(page_of(kText + "\x01\n")).has_value());
  CHECK_FALSE(vmcoreinfo_in({}).has_value());
  CHECK(vmcoreinfo_in(page_of(kText + std::string(4096 - kText.size() - 1, 'x') + "\n")).has_value());  // to the brim
}

TEST_CASE("a value by its key") {
  CHECK(vmcoreinfo_value(kText, "OSRELEASE") == "6.1.0-9-cloud-amd64");
  CHECK(vmcoreinfo_value(kText, "NUMBER(phys_base)") == "16777216");
  CHECK(vmcoreinfo_value(kText, "KERNELOFFSET") == "19000000");
  CHECK(vmcoreinfo_value(kText, "KERNEL").empty());
  CHECK(vmcoreinfo_value("", "OSRELEASE").empty());
}

}  // namespace tintype
