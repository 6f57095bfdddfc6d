// SPDX-License-Identifier: Apache-2.0
#include "vmm/control/machine_methods.h"

#include <nlohmann/json.hpp>

#include "vmm/base/error.h"
#include "vmm/control/machine_feeds.h"
#include "vmm/control/rpc.h"

namespace tintype {

nlohmann::json MachineMethods::call(const std::string& name, const nlohmann::json& params,
                                    const ProgressSink& progress) {
  const RpcMethod* method = find_rpc_method(name);
  if (method == nullptr && name == "promote")
    throw Error("{} is a machine that runs already: only a standby is promoted", machine_.config().name);
  if (method == nullptr) throw RpcError(rpc_code::kMethodNotFound, fmt::format("there is no method \"{}\"", name));
  return method->call(machine_, params, progress);
}

std::unique_ptr<Feed> MachineMethods::follow(const std::string& name, const nlohmann::json& params) {
  return open_machine_feed(machine_, name, params);
}

void MachineMethods::hang_bell(EventFd* bell) {
  machine_.events().bell().hang(bell);
  machine_.console().bell().hang(bell);
}

}  // namespace tintype
