// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <thread>

#include "vmm/gdb/listener.h"
#include "vmm/machine/machine.h"

namespace tintype {

/// gdb on a machine that runs: waits for one on a thread of its own, again and again, until it is destroyed. A gdb that
/// comes stops the machine; one that goes, with a word or without, lets it run on as though it had not been there.
class LiveGdbServer {
 public:
  /// As GdbListener. The machine must outlive it.
  LiveGdbServer(Machine& machine, const std::string& address, std::string_view option);
  ~LiveGdbServer();
  LiveGdbServer(const LiveGdbServer&) = delete;
  LiveGdbServer& operator=(const LiveGdbServer&) = delete;

  const std::string& address() const noexcept { return listener_.address(); }

 private:
  class Visit;
  void main() noexcept;
  void serve();

  Machine& machine_;
  GdbListener listener_;
  EventFd over_;
  std::thread thread_;  // last
};

}  // namespace tintype
