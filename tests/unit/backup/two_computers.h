// SPDX-License-Identifier: Apache-2.0
#pragma once

// Two computers on the loopback: for tests of a standby and of who calls it.

#include <atomic>
#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <doctest/doctest.h>

#include "checkpoint/standby/secure_channel.h"
#include "checkpoint/standby/standby.h"
#include "checkpoint/standby/standby_place.h"
#include "checkpoint/store/operations.h"
#include "tests/unit/store/film.h"

namespace tintype::checkpoint_test {

inline std::vector<std::byte> a_key(unsigned number = 1) { return std::vector<std::byte>(32, std::byte(number)); }

/// A standby, and a film that is shot here and kept there.
struct TwoComputers {
  ScratchDirectory scratch{quick_directory()};
  std::filesystem::path here = scratch / "here", there = scratch / "there";
  std::unique_ptr<Standby> standby;
  std::optional<Manifest> last{};
  std::atomic<int> replaced = 0;

  explicit TwoComputers(std::optional<std::chrono::milliseconds> promote_after = {}) { start(promote_after); }
  void start(std::optional<std::chrono::milliseconds> promote_after = {}) {
    StandbyOptions how = options();
    how.promote_after = promote_after;
    start(how);
  }
  void start(const StandbyOptions& how) {
    standby = std::make_unique<Standby>(how);
    port = standby->port();
  }
  StandbyOptions options() const {
    StandbyOptions options;
    options.listen = {"127.0.0.1", standby ? std::to_string(port) : "0"};
    options.repository = there;
    options.key = a_key();
    options.keep = parse_retention("last=4", "");
    return options;
  }
  TcpAddress address() const { return {"127.0.0.1", std::to_string(port)}; }
  std::unique_ptr<BackupPlace> place(unsigned key = 1, const std::string& witness = "") {
    return make_standby_place(
        {address(), a_key(key), "film", here, witness, [this](const std::string&) { ++replaced; }});
  }
  const Manifest& shoot() {
    last = film::take(here, last);
    return *last;
  }
  /// Shoots one, and returns when it was acknowledged.
  void deliver(BackupPlace& place) {
    place.look();
    place.bring(here, shoot().id, {});
    place.prune({}, {});
  }
  std::string newest_there() const { return show_checkpoint(there, std::nullopt).identity; }
  void check_whole() const { CHECK(film::first_fault(there) == ""); }

  std::uint16_t port = 0;
};

/// Speaks to a standby by hand.
struct Caller {
  SecureChannel channel;
  explicit Caller(const TwoComputers& computers, unsigned key = 1)
      : channel(connect_to(computers.address(), std::chrono::seconds(5)), ChannelEnd::kClient, a_key(key),
                std::chrono::seconds(20)) {}
  std::string ask(std::string_view line) {
    channel.send_line(line);
    return channel.receive_line();
  }
};

}  // namespace tintype::checkpoint_test
