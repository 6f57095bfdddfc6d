// SPDX-License-Identifier: Apache-2.0
#include "vmm/boot/generation_id.h"

#include <sys/random.h>

#include "vmm/base/error.h"

namespace tintype {

namespace {

using Mark = std::array<char, 16>;
constexpr Mark kMark{'T', 'I', 'N', 'T', 'Y', 'P', 'E', ' ', 'V', 'M', 'G', 'E', 'N', 'I', 'D', 0};
static_assert(kGenerationArea.size == sizeof(Mark) + sizeof(GenerationId));

GenerationId fresh_id() {
  GenerationId id{};
  if (::getrandom(id.data(), id.size(), 0) != static_cast<ssize_t>(id.size())) throw_errno("getrandom");
  return id;
}

}  // namespace

void place_generation(GuestMemory& memory) {
  check(memory.store(Gpa(kGenerationArea.start), kMark) && memory.store(Gpa(kGenerationAddress), fresh_id()),
        "the first mebibyte is memory");
}

bool renew_generation(GuestMemory& memory) {
  const auto mark = memory.load<Mark>(Gpa(kGenerationArea.start));
  if (!mark) throw Error("the machine's memory cannot be read");
  if (*mark != kMark) return false;
  if (!memory.store(Gpa(kGenerationAddress), fresh_id())) throw Error("the machine's memory cannot be read");
  return true;
}

}  // namespace tintype
