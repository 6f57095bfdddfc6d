// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "vmm/base/progress.h"
#include "vmm/machine/machine.h"

namespace tintype {

/// Times that a user may name end here, in milliseconds: ten years. None of them wraps, added to whatever clock.
inline constexpr std::uint64_t kLongestTimeMs = 3652ULL * 24 * 3600 * 1000;

/// How the command line names a parameter.
struct ParameterOption {
  const char* option = nullptr;  ///< "--capture-area"; null: not on the command line
  const char* placeholder = "";  ///< "SIZE"; a flag has none
  const char* help = nullptr;
};

enum class ParameterKind : std::uint8_t {
  kFlag,
  kNumber,
  kSize,        ///< bytes
  kTime,        ///< milliseconds
  kWord,        ///< of an enumeration
  kText,        ///< of any bytes
  kDirectory,   ///< absolute
  kRepository,  ///< a directory, absolute; or s3://BUCKET/PREFIX
  kPlace,       ///< a repository; or what has another scheme: tcp://HOST:PORT
};

/// A parameter of a method, for the command line and its help.
struct Parameter {
  const char* name;  ///< in JSON
  ParameterKind kind;
  ParameterOption option;
  std::string help;     ///< the option's, and for a word those that there are
  std::string words{};  ///< those; of a word only
  /// Of a word: UsageError, naming `what`, for one that there is not.
  void (*check_word)(std::string_view text, std::string_view what) = nullptr;
};

/// How long a method may take, for whoever calls it.
enum class MethodPace : std::uint8_t {
  kQuick,
  kLong,         ///< reports progress, and is cancelled by a call of it with `cancel`
  kEndsMachine,  ///< when it has been answered, the machine closes its disks and hangs up
  kLongThenEnds,
};
constexpr bool is_long(MethodPace pace) noexcept {
  return pace == MethodPace::kLong || pace == MethodPace::kLongThenEnds;
}
constexpr bool ends_machine(MethodPace pace) noexcept {
  return pace == MethodPace::kEndsMachine || pace == MethodPace::kLongThenEnds;
}

/// A verb for a running machine: what the control socket calls, and the command line offers.
struct RpcMethod {
  std::string_view name;
  std::string_view help;
  MethodPace pace;
  std::vector<Parameter> (*parameters)();
  /// UsageError where these cannot be; asks no machine.
  void (*check)(const nlohmann::json& params);
  nlohmann::json (*call)(Machine& machine, const nlohmann::json& params, const ProgressSink& progress);
  const char* footer = nullptr;  ///< of its help
  bool is_verb = true;           ///< false: for the socket only
};

/// The one table of them: it drives the socket, its clients, the command line and the help.
std::span<const RpcMethod> rpc_methods();

/// Null where there is none.
const RpcMethod* find_rpc_method(std::string_view name);

}  // namespace tintype
