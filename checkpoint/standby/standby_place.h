// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "checkpoint/backup/place.h"
#include "checkpoint/standby/tcp.h"

namespace tintype {

struct StandbyLink {
  TcpAddress address;
  std::vector<std::byte> key;
  std::string vm;
  std::filesystem::path spool;  ///< where a checkpoint lies before it has been sent
  std::string witness;          ///< which one is asked before the machine runs (Witness::identity); empty: none
  /// The standby runs the machine: called once, on any thread.
  std::function<void(const std::string& why)> on_replaced;
};

/// A standby as a place for backups: each is sent as it is made, and is there when it was acknowledged. Between them a
/// beat tells the standby that this machine lives; at its end, that it has not been lost.
std::unique_ptr<BackupPlace> make_standby_place(StandbyLink link);

/// A directory of this user's own below $TMPDIR or /var/tmp, made where it is missing. Throws tintype::Error where
/// somebody else could read or change it. What lies there is of this run of the computer, and need not outlast it.
std::filesystem::path spool_directory(const std::string& vm, const TcpAddress& address);

}  // namespace tintype
