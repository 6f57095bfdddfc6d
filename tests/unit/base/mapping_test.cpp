// SPDX-License-Identifier: Apache-2.0
#include "vmm/base/mapping.h"

#include <doctest/doctest.h>

#include "vmm/base/event_fd.h"
#include "vmm/base/overflow.h"

namespace tintype {

TEST_CASE("anonymous mappings are aligned, zero and writable to the last byte") {
  for (const std::size_t size : {4096UL, 3UL << 20}) {
    const Mapping mapping = Mapping::anonymous(size, 2 << 20);
    CHECK(reinterpret_cast<std::uintptr_t>(mapping.data()) % (2 << 20) == 0);
    CHECK(mapping.data()[size - 1] == std::byte{0});
    mapping.data()[size - 1] = std::byte{1};
    CHECK(mapping.size() == size);
  }
}

TEST_CASE("a range near the end of the number line is not mistaken for a small one") {
  CHECK(range_fits<std::uint64_t>(0, 10, 10));
  CHECK_FALSE(range_fits<std::uint64_t>(1, 10, 10));
  CHECK_FALSE(range_fits<std::uint64_t>(~0ULL, 2, 10));
  CHECK_FALSE(checked_add<std::uint64_t>(~0ULL, 1).has_value());
}

TEST_CASE("a doorbell rings once, however often it was pressed") {
  EventFd bell;
  CHECK_FALSE(bell.take());
  bell.signal();
  bell.signal();
  CHECK(bell.take());
  CHECK_FALSE(bell.take());
}

}  // namespace tintype
