// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "vmm/base/unique_fd.h"

namespace tintype {

/// A TCP port that only this computer itself can reach, listened to.
struct LoopbackPort {
  UniqueFd fd;
  std::uint16_t number = 0;
};

/// `address`: "PORT", ":PORT", "127.0.0.1:PORT" or "localhost:PORT"; port 0 is any that is free. Throws UsageError,
/// which names the `option` and says what somebody who gets in does ("reads all of the guest's memory"), and
/// tintype::Error where the port is taken.
LoopbackPort listen_on_loopback(const std::string& address, std::string_view option, std::string_view who_gets_in);

}  // namespace tintype
