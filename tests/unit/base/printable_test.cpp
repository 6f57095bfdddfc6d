// SPDX-License-Identifier: Apache-2.0
#include "vmm/base/printable.h"

#include <doctest/doctest.h>

namespace tintype {

TEST_CASE("what a terminal would obey is written out, and text stays as it is") {
  CHECK(printable("one\ttwo\nthree, four: f\xc3\xbcnf") == "one\ttwo\nthree, four: f\xc3\xbcnf");
  CHECK(printable("\x1b[2Jgone") == "\\x1b[2Jgone");
  CHECK(printable(std::string_view("a\0b\r\x7f", 5)) == "a\\x00b\\x0d\\x7f");
}

TEST_CASE("in a page nothing is taken for a mark") {
  CHECK(html_text("a <b> & \"c\" 'd'\n\x1b") == "a &lt;b&gt; &amp; &quot;c&quot; &#39;d&#39;\n?");
}

}  // namespace tintype
