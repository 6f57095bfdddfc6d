// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include <nlohmann/json_fwd.hpp>

#include "vmm/base/event_fd.h"
#include "vmm/base/progress.h"
#include "vmm/control/connection.h"
#include "vmm/control/feed.h"

namespace tintype {

/// What the server serves.
class ControlService {
 public:
  virtual ~ControlService() = default;
  /// Carries out one call and returns its result. Runs on one of the server's worker threads, several at once. What it
  /// throws becomes the error reply: RpcError with its code, UsageError as bad parameters, everything else as "failed".
  virtual nlohmann::json call(const std::string& method, const nlohmann::json& params,
                              const ProgressSink& progress) = 0;
  /// Where the method is one whose answers go on: what its caller follows from now on. Null where it is not. On a
  /// worker.
  virtual std::unique_ptr<Feed> follow(const std::string& /*method*/, const nlohmann::json& /*params*/) {
    return nullptr;
  }
  /// What to ring when a feed that had nothing more has something; null: nothing any more.
  virtual void hang_bell(EventFd* /*bell*/) {}
};

struct ControlLimits {
  ConnectionLimits connection;
  std::size_t clients = 256;
  std::size_t workers = 32;          ///< calls carried out at once
  std::size_t waiting_calls = 1024;  ///< beyond these a call is answered with kBusy
};

/// The control socket of a machine. One thread moves bytes for all clients; each call runs on a worker, so that a long
/// one (a checkpoint) keeps nobody waiting. Clients are not trusted to be well-behaved: rubbish, endless lines, slow
/// readers and vanishing in mid-call cost a bounded amount of memory and nothing else.
class ControlServer {
 public:
  /// Listens at `socket_path` and returns at once. Throws std::system_error where it cannot.
  ControlServer(const std::filesystem::path& socket_path, ControlService& service, const ControlLimits& limits = {});
  /// Like stop().
  ~ControlServer();

  /// Takes no new calls, waits for those in flight, sends their replies (to who reads them within a second) and hangs
  /// up. Idempotent.
  void stop();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tintype
