// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "vmm/base/unique_fd.h"
#include "vmm/gdb/session.h"

namespace tintype {

/// Where gdb is waited for. Loopback or a Unix socket only: whoever gets in reads all of a guest's memory.
class GdbListener {
 public:
  /// "PORT", ":PORT", "127.0.0.1:PORT", "localhost:PORT" (port 0: any), "unix:PATH" or a path with a slash in it, which
  /// must not exist. Throws UsageError, which names the `option`, and tintype::Error where that is taken.
  GdbListener(const std::string& address, std::string_view option);
  ~GdbListener();
  GdbListener(const GdbListener&) = delete;
  GdbListener& operator=(const GdbListener&) = delete;

  /// As `target remote` takes it.
  const std::string& address() const noexcept { return address_; }
  int fd() const noexcept { return fd_.get(); }
  /// Empty where whoever came has gone again.
  UniqueFd accept() const;

 private:
  std::string address_, path_;
  UniqueFd fd_;
};

/// Waits for a gdb, and talks with it until it has detached or gone. Others are turned away meanwhile.
void serve_at_rest(const GdbListener& listener, DebugSubject& subject);

}  // namespace tintype
