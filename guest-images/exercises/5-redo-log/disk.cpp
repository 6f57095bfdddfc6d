// SPDX-License-Identifier: Apache-2.0
// Exercise 5: a disk of layers, whose past stands still. README.md beside it says what to do.
#include <cstdint>
#include <cstdio>
#include <map>
#include <random>
#include <vector>

namespace {

constexpr unsigned kSectors = 64;

// A sector is one number here. The base has all of them; a log has those that were written while it was on top.
class Disk {
 public:
  Disk() : base_(kSectors, 0) {}

  // YOUR PART: five functions of a few lines each.

  // The newest contents of a sector.
  int read(unsigned sector) const {
    (void)sector;
    return 0;
  }
  void write(unsigned sector, int value) { (void)sector, (void)value; }
  // From now on writes go to a fresh log, and what lies below stands still: the instant. Returns how many logs lie
  // below the fresh one.
  std::size_t switch_to_fresh_log() { return 0; }
  // A sector as it was at an instant.
  int read_below(std::size_t logs, unsigned sector) const {
    (void)logs, (void)sector;
    return 0;
  }
  // The lowest log goes into the base and is gone; those above it move down by one. Nothing that read() gives changes.
  void commit_lowest() {}

  std::size_t logs() const { return logs_.size(); }

 private:
  std::vector<int> base_;
  std::vector<std::map<unsigned, int>> logs_;  // the last is on top, and is written to
};

}  // namespace

int main() {
  Disk disk;
  std::vector<int> model(kSectors, 0);
  std::vector<std::vector<int>> instants;  // what the disk held when each switch was made, the oldest first
  std::mt19937 random(7);
  unsigned reads = 0, switches = 0, commits = 0;
  for (int step = 1; step <= 20000; ++step) {
    const unsigned sector = random() % kSectors;
    switch (random() % 100) {
      case 0:
        if (disk.switch_to_fresh_log() != instants.size()) return std::printf("step %d: logs are lost\n", step), 1;
        instants.push_back(model);
        ++switches;
        break;
      case 1:
        if (disk.logs() == 0) break;
        disk.commit_lowest();
        instants.erase(instants.begin());
        ++commits;
        break;
      default:
        if (random() % 2 == 0) {
          disk.write(sector, step);
          model[sector] = step;
        } else if (++reads; disk.read(sector) != model[sector]) {
          return std::printf("step %d: sector %u reads %d, not %d\n", step, sector, disk.read(sector), model[sector]),
                 1;
        }
    }
    for (std::size_t i = 0; i < instants.size(); ++i) {
      if (disk.read_below(i, sector) != instants[i][sector])
        return std::printf("step %d: sector %u of an instant has changed\n", step, sector), 1;
    }
  }
  std::printf("%u reads, %u instants and %u commits as they must be\n", reads, switches, commits);
}
