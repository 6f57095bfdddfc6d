// SPDX-License-Identifier: Apache-2.0
#include "vmm/control/rpc.h"

namespace tintype {

using nlohmann::json;

namespace {

std::string as_line(const json& message) { return message.dump(-1, ' ', false, json::error_handler_t::replace) + "\n"; }

[[noreturn]] void refuse(const std::string& why) { throw RpcError(rpc_code::kInvalidRequest, why); }

/// Copying JSON recurses, so that a line of nothing but brackets could exhaust the stack.
constexpr int kMostNesting = 32;

bool nests_too_deep(std::string_view line) {
  int depth = 0;
  bool in_text = false;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (in_text && c == '\\') ++i;
    if (c == '"') in_text = !in_text;
    if (in_text) continue;
    if ((c == '[' || c == '{') && ++depth > kMostNesting) return true;
    if (c == ']' || c == '}') --depth;
  }
  return false;
}

json parse_line(std::string_view line) {
  if (nests_too_deep(line))
    throw RpcError(rpc_code::kParseError, "this line nests too deep: send one JSON-RPC 2.0 request a line");
  json message = json::parse(line, nullptr, false);
  if (message.is_discarded())
    throw RpcError(rpc_code::kParseError, "this line is not JSON: send one JSON-RPC 2.0 request a line");
  return message;
}

std::optional<json> id_of(const json& message) {
  const auto id = message.find("id");
  if (id == message.end()) return std::nullopt;
  if (!id->is_string() && !id->is_number() && !id->is_null())
    refuse("a request's \"id\" must be a text, a number or null");
  return *id;
}

json params_of(const json& message) {
  const auto params = message.find("params");
  if (params == message.end()) return json::object();
  if (!params->is_object())
    throw RpcError(rpc_code::kInvalidParams, "\"params\" must be an object: every parameter has a name");
  return *params;
}

}  // namespace

void parse_rpc_request(std::string_view line, RpcRequest& into) {
  const json message = parse_line(line);
  if (message.is_array()) refuse("batches are not served: send one request a line");
  if (!message.is_object()) refuse("this is not a JSON-RPC request: it must be an object");
  into.id = id_of(message);
  if (message.value("jsonrpc", json()) != "2.0")
    refuse("this is not a JSON-RPC 2.0 request: it needs \"jsonrpc\": \"2.0\"");
  const auto method = message.find("method");
  if (method == message.end() || !method->is_string()) refuse("a request needs a \"method\", which is a text");
  into.method = method->get<std::string>();
  into.params = params_of(message);
}

std::string rpc_call_line(const std::string& method, const json& params, std::uint64_t id) {
  return as_line({{"jsonrpc", "2.0"}, {"id", id}, {"method", method}, {"params", params}});
}

std::string rpc_result_line(const json& id, const json& result) {
  return as_line({{"jsonrpc", "2.0"}, {"id", id}, {"result", result}});
}

std::string rpc_error_line(const json& id, int code, const std::string& message) {
  return as_line({{"jsonrpc", "2.0"}, {"id", id}, {"error", {{"code", code}, {"message", message}}}});
}

std::string rpc_notification_line(const std::string& method, const json& params) {
  return as_line({{"jsonrpc", "2.0"}, {"method", method}, {"params", params}});
}

}  // namespace tintype
