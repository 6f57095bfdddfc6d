// SPDX-License-Identifier: Apache-2.0
#include "vmm/memory/dirty_bitmap.h"

#include <doctest/doctest.h>

namespace tintype {

TEST_CASE("dirty bits that a failed checkpoint took come back, together with newer ones") {
  DirtyBitmap bitmap(130);
  bitmap.mark(129, 1);
  bitmap.mark(3, 2);
  const auto taken = bitmap.take();
  CHECK(taken.size() == 3);
  CHECK_FALSE(bitmap.test(129));
  bitmap.mark(7, 1);
  bitmap.fold_back(taken);
  for (const std::uint64_t page : {3, 4, 7, 129}) CHECK(bitmap.test(page));
  CHECK_FALSE(bitmap.test(5));
}

TEST_CASE("marking past the end changes nothing") {
  DirtyBitmap bitmap(65);
  bitmap.mark(64, 1000);
  bitmap.mark(1000, 1);
  CHECK(bitmap.take() == std::vector<std::uint64_t>{0, 1});
}

}  // namespace tintype
