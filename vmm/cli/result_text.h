// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

namespace tintype {

/// The result of a method of the control socket for people: lines, without a newline at the end.
std::string result_text(std::string_view method, const nlohmann::json& result);

}  // namespace tintype
