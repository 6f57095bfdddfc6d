// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "vmm/base/unique_fd.h"
#include "vmm/gdb/session.h"

namespace tintype {

/// Waits for a gdb, and talks with it. Loopback or a Unix socket only: whoever gets in reads all of a guest's memory.
class GdbServer {
 public:
  /// "PORT", "127.0.0.1:PORT", "localhost:PORT" (port 0: any), or "unix:PATH", which must not exist. Throws UsageError,
  /// and tintype::Error where that is taken.
  explicit GdbServer(const std::string& address);
  ~GdbServer();
  GdbServer(const GdbServer&) = delete;
  GdbServer& operator=(const GdbServer&) = delete;

  /// As `target remote` takes it.
  const std::string& address() const noexcept { return address_; }
  /// Until the first gdb that came has detached or gone. Others are turned away meanwhile.
  void serve(const DebugSubject& subject);

 private:
  void listen_on_port(const std::string& port);

  std::string address_, path_;
  UniqueFd listener_;
};

}  // namespace tintype
