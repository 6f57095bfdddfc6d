// SPDX-License-Identifier: Apache-2.0
#pragma once

// JSON-RPC 2.0 (jsonrpc.org/specification), one message a line. Batches are refused: who wants several calls sends
// several lines.

#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "vmm/base/error.h"

namespace tintype {

namespace rpc_code {
inline constexpr int kParseError = -32700;
inline constexpr int kInvalidRequest = -32600;
inline constexpr int kMethodNotFound = -32601;
inline constexpr int kInvalidParams = -32602;  ///< also every UsageError
inline constexpr int kFailed = -32000;         ///< the call was understood and could not be done; the message says why
inline constexpr int kBusy = -32001;           ///< too many clients or calls at once
}  // namespace rpc_code

/// Becomes an error reply with this code.
class RpcError : public Error {
 public:
  RpcError(int code, const std::string& sentence) : Error(sentence), code_(code) {}
  int code() const noexcept { return code_; }

 private:
  int code_;
};

struct RpcRequest {
  std::string method;
  nlohmann::json params = nlohmann::json::object();
  std::optional<nlohmann::json> id;  ///< none: a notification, which gets no reply
};

/// Throws RpcError. `into.id` is set as soon as it is known, so that the error reply can carry it.
void parse_rpc_request(std::string_view line, RpcRequest& into);

// Messages as lines, with their newline. Text that is not UTF-8 is mended, not refused.
std::string rpc_call_line(const std::string& method, const nlohmann::json& params, std::uint64_t id);
std::string rpc_result_line(const nlohmann::json& id, const nlohmann::json& result);
std::string rpc_error_line(const nlohmann::json& id, int code, const std::string& message);
std::string rpc_notification_line(const std::string& method, const nlohmann::json& params);

}  // namespace tintype
