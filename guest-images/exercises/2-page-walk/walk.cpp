// SPDX-License-Identifier: Apache-2.0
// Exercise 2: from a virtual address to a physical one. README.md beside it says what to do.
#include <cstdint>
#include <cstdio>
#include <map>
#include <optional>

namespace {

constexpr std::uint64_t kPresent = 1, kLarge = 1 << 7;
constexpr std::uint64_t kAddress = 0x000f'ffff'ffff'f000;  // the bits of an entry that are an address

// Physical memory, as far as it holds page tables: an entry of 8 bytes at each address. What is not there reads as 0.
class Memory {
 public:
  void put(std::uint64_t address, std::uint64_t entry) { entries_[address] = entry; }
  std::uint64_t load(std::uint64_t address) const {
    const auto found = entries_.find(address);
    return found == entries_.end() ? 0 : found->second;
  }

 private:
  std::map<std::uint64_t, std::uint64_t> entries_;
};

// The physical address that a CPU with this CR3 finds at a virtual one, by four levels of tables; nothing where it
// would fault.
std::optional<std::uint64_t> translate(const Memory& memory, std::uint64_t cr3, std::uint64_t address) {
  // YOUR PART
  (void)memory, (void)cr3, (void)address;
  return std::nullopt;
}

// Tables at 0x1000 (level 4), 0x2000, 0x3000, 0x4000 (level 1).
Memory example() {
  Memory memory;
  memory.put(0x1000 + 8 * 0, 0x2000 | kPresent);
  memory.put(0x1000 + 8 * 511, 0x2000 | kPresent);  // the upper half shows the same
  memory.put(0x2000 + 8 * 0, 0x3000 | kPresent);
  memory.put(0x2000 + 8 * 3, 0x1'4000'0000 | kLarge | kPresent);  // 1 GiB
  memory.put(0x3000 + 8 * 0, 0x4000 | kPresent);
  memory.put(0x3000 + 8 * 5, 0x0880'0000 | kLarge | kPresent | 1ULL << 63);  // 2 MiB, not to be executed
  memory.put(0x4000 + 8 * 16, 0x9000 | kPresent);
  memory.put(0x4000 + 8 * 17, 0xa000);  // not present
  return memory;
}

}  // namespace

int main() {
  const Memory memory = example();
  for (const std::uint64_t address : {0x10123ULL, 0x11000ULL, 0x00a1'2345ULL, 0xc765'4321ULL, 0xffff'ff80'0001'0fffULL,
                                      0x1'0000'0000ULL, 0x0000'8000'0001'0123ULL}) {
    const auto physical = translate(memory, 0x1000, address);
    if (physical)
      std::printf("%016llx -> %llx\n", static_cast<unsigned long long>(address),
                  static_cast<unsigned long long>(*physical));
    if (!physical) std::printf("%016llx -> a fault\n", static_cast<unsigned long long>(address));
  }
}
