// SPDX-License-Identifier: Apache-2.0
#include "guest-images/ledger/record.h"

#include "guest-images/runtime/random.h"

namespace tintype::guest {
namespace {

constexpr std::uint64_t kMagic = 0x312052454744454c;   // "LEDGER 1"
constexpr std::uint64_t kPoison = 0x2121646165726e75;  // "unread!!"
constexpr std::uint64_t kPayloadWords = kSectorSize / 8 - 4;

struct Sector {
  std::uint64_t magic;
  SectorIdentity identity;
  std::uint64_t payload[kPayloadWords];
};
static_assert(sizeof(Sector) == kSectorSize);

// The words of a payload, one after the other.
class Stream {
 public:
  explicit Stream(const SectorIdentity& identity)
      : state_(mix(mix(mix(identity.nonce) ^ identity.record) ^ identity.place)) {}

  std::uint64_t next() {
    state_ += 0x9e3779b97f4a7c15;
    return state_ ^ state_ >> 29;
  }

 private:
  std::uint64_t state_;
};

bool payload_follows(const Sector& sector) {
  Stream stream(sector.identity);
  std::uint64_t difference = 0;
  for (const std::uint64_t word : sector.payload) difference |= word ^ stream.next();
  return difference == 0;
}

Finding judge(const Sector& sector, const SectorIdentity& expected) {
  if (sector.magic == kPoison) return Finding::kUnread;
  const bool ours = sector.magic == kMagic && sector.identity.nonce == expected.nonce;
  if (!ours) return expected.record == 0 ? Finding::kRight : Finding::kForeign;
  if (!payload_follows(sector)) return Finding::kDamaged;
  if (sector.identity.place != expected.place) return Finding::kMisplaced;
  if (sector.identity.record < expected.record) return Finding::kLost;
  if (sector.identity.record > expected.record) return Finding::kAhead;
  return Finding::kRight;
}

}  // namespace

Text name_of(Medium medium) {
  switch (medium) {
    case Medium::kDisk0:
      return "0";
    case Medium::kDisk1:
      return "1";
    case Medium::kRam:
      return "ram";
  }
  return "?";
}

Text name_of(Finding finding) {
  switch (finding) {
    case Finding::kRight:
      return "right";
    case Finding::kLost:
      return "lost";
    case Finding::kAhead:
      return "ahead";
    case Finding::kMisplaced:
      return "misplaced";
    case Finding::kForeign:
      return "foreign";
    case Finding::kDamaged:
      return "damaged";
    case Finding::kUnread:
      return "unread";
  }
  return "?";
}

void write_sector(void* sector, const SectorIdentity& identity) {
  auto& to = *static_cast<Sector*>(sector);
  to.magic = kMagic;
  to.identity = identity;
  Stream stream(identity);
  for (std::uint64_t& word : to.payload) word = stream.next();
}

void poison_sector(void* sector) { static_cast<Sector*>(sector)->magic = kPoison; }

Inspection inspect_sector(const void* sector, const SectorIdentity& expected) {
  const auto& from = *static_cast<const Sector*>(sector);
  const bool ours = from.magic == kMagic && from.identity.nonce == expected.nonce;
  return Inspection{judge(from, expected), ours ? from.identity.record : 0};
}

}  // namespace tintype::guest
