// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "vmm/base/unique_fd.h"
#include "vmm/gdb/packet.h"
#include "vmm/gdb/session.h"

namespace tintype {

/// One gdb that has connected: bytes in, bytes out.
class GdbConnection {
 public:
  /// The subject must outlive it.
  GdbConnection(UniqueFd fd, DebugSubject& subject);
  int fd() const noexcept { return fd_.get(); }

  /// There is something to read. False where gdb has gone, or is done, or takes nothing.
  bool receive();
  /// The machine stands still. False where gdb takes nothing.
  bool tell(const DebugStop& stop);
  /// After the last word: lets gdb acknowledge it and go, for a second at most. One whose acknowledgement meets a
  /// closed connection says that the connection was closed, and not what it was told.
  void wait_until_gone() noexcept;

 private:
  bool take(const GdbInput& input);
  bool answer(const std::string& data);
  bool send(std::string_view text) const;

  UniqueFd fd_;
  GdbSession session_;
  PacketReader reader_;
  std::string last_;
};

}  // namespace tintype
