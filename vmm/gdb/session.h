// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/state/vcpu_state.h"

namespace tintype {

/// A machine that a debugger looks at. CPUs are numbered from 0; gdb calls them threads, from 1.
class DebugSubject {
 public:
  virtual ~DebugSubject() = default;
  virtual std::size_t cpus() const = 0;
  virtual const VcpuRegisters& registers(std::size_t cpu) const = 0;
  /// At a linear address, as that CPU sees it: as many bytes as there are.
  virtual std::vector<std::uint8_t> read(std::size_t cpu, std::uint64_t address, std::size_t bytes) const = 0;
  /// What `info threads` says of it.
  virtual std::string describe(std::size_t cpu) const = 0;
};

/// One gdb that looks at a machine at rest: the commands of the remote protocol (gdb manual, appendix E.2) that change
/// nothing, each with its answer. Whatever comes is answered; what is not known, with nothing, as the protocol has it.
class GdbSession {
 public:
  /// The subject must outlive it.
  explicit GdbSession(const DebugSubject& subject);

  /// The answer's data; nothing is sent for `std::nullopt`.
  std::optional<std::string> answer(std::string_view command);
  /// gdb has detached, or has said that it is done.
  bool over() const noexcept { return over_; }
  /// From now on neither side says `+`.
  bool without_acknowledgement() const noexcept { return no_ack_; }

 private:
  std::string query(std::string_view command);
  std::string transfer(std::string_view command) const;
  std::string monitor(std::string_view hex) const;
  std::string read_memory(std::string_view arguments) const;
  std::string read_register(std::string_view number) const;
  std::string select(std::string_view arguments);
  std::string stop_reply() const;
  std::string thread_info(std::string_view thread) const;

  const DebugSubject& subject_;
  std::size_t cpu_ = 0;
  bool over_ = false, no_ack_ = false;
};

}  // namespace tintype
