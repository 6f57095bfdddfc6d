// SPDX-License-Identifier: Apache-2.0
// Exercise 4: the device's side of a virtqueue. README.md beside it says what to do.
#include <algorithm>
#include <array>
#include <cctype>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

namespace {

constexpr std::uint16_t kSize = 8;  // of the queue
constexpr std::uint16_t kNext = 1, kWrite = 2;

struct Descriptor {
  std::uint64_t address;
  std::uint32_t length;
  std::uint16_t flags, next;
};
struct Available {
  std::uint16_t flags, index;
  std::uint16_t ring[kSize];
};
struct UsedElement {
  std::uint32_t id, length;
};
struct Used {
  std::uint16_t flags, index;
  UsedElement ring[kSize];
};

// The memory that driver and device share.
struct Guest {
  std::array<Descriptor, kSize> table{};
  Available available{};
  Used used{};
  std::array<char, 4096> memory{};
};

// The device. It remembers how far it has come in the available ring.
class Shouter {
 public:
  // Answers every request that the driver has made available since the last call. A request is a chain of descriptors:
  // first those that are read (without kWrite), then those that are written to. The answer is what was read, in
  // capitals, as much of it as there is room for.
  void serve(Guest& guest) {
    // YOUR PART
    (void)guest, (void)next_available_;
  }

 private:
  std::uint16_t next_available_ = 0;
};

// The driver: offers `words` at once, each as two readable pieces and one or two writable ones, and gives back what the
// device answered.
class Driver {
 public:
  explicit Driver(Guest& guest) : guest_(guest) {}

  void offer(const std::string& word, std::uint32_t room) {
    const std::uint16_t head = free_;
    const std::uint64_t text = 512ULL * head, answer = text + 256;
    std::memcpy(&guest_.memory[text], word.data(), word.size());
    std::fill_n(&guest_.memory[answer], 256, '.');
    const auto half = static_cast<std::uint32_t>(word.size() / 2);
    put({text, half, kNext, 0});
    put({text + half, static_cast<std::uint32_t>(word.size()) - half, kNext, 0});
    put({answer, room / 2, kNext | kWrite, 0});
    put({answer + room / 2, room - room / 2, kWrite, 0});
    guest_.available.ring[guest_.available.index % kSize] = head;
    ++guest_.available.index;
  }
  // Every answer that is there.
  std::vector<std::string> take() {
    std::vector<std::string> answers;
    for (; used_seen_ != guest_.used.index; ++used_seen_) {
      const UsedElement& element = guest_.used.ring[used_seen_ % kSize];
      answers.emplace_back(&guest_.memory[512ULL * element.id + 256], element.length);
    }
    return answers;
  }

 private:
  void put(Descriptor descriptor) {
    const std::uint16_t number = free_;
    free_ = static_cast<std::uint16_t>((free_ + 1) % kSize);
    if ((descriptor.flags & kNext) != 0) descriptor.next = free_;
    guest_.table[number] = descriptor;
  }

  Guest& guest_;
  std::uint16_t free_ = 0, used_seen_ = 0;
};

}  // namespace

int main() {
  static Guest guest;
  Driver driver(guest);
  Shouter device;
  unsigned answered = 0;
  guest.available.index = guest.used.index = 0;
  for (unsigned round = 0; round < 40000; ++round) {
    const std::string word = "request " + std::to_string(round);
    std::string loud = word;
    for (char& letter : loud) letter = static_cast<char>(std::toupper(letter));
    const std::uint32_t room = round % 3 == 0 ? 5 : 64;
    driver.offer(word, room);
    if (round % 2 == 0) driver.offer(word, room);
    device.serve(guest);
    for (const std::string& answer : driver.take()) {
      if (answer != loud.substr(0, room)) {
        std::printf("round %u: '%s' was answered with '%s'\n", round, word.c_str(), answer.c_str());
        return 1;
      }
      ++answered;
    }
  }
  std::printf("%u requests answered\n", answered);
}
