// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/s3/xml.h"

#include <doctest/doctest.h>

using namespace tintype;

TEST_CASE("elements are found, with attributes or without, and others of a longer name are not") {
  const std::string text = "<A xmlns=\"x\"><Key>1</Key><KeyCount>9</KeyCount><B><Key>a&amp;b &lt;&quot;</Key></B></A>";
  CHECK(xml_elements(text, "Key").size() == 2);
  CHECK(xml_text(text, "Key") == "1");
  CHECK(xml_text(xml_elements(text, "B").front(), "Key") == "a&b <\"");
  CHECK(xml_text(text, "C").empty());
}

TEST_CASE("rubbish has no elements, and ends") {
  for (const char* text : {"", "<", "<Key", "<Key>", "<Key>1", "</Key>", "<Key/>", "<Key x=\"<Key>\"", "<<<Key>>"})
    CHECK(xml_text(text, "Key").empty());
}
