// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace tintype {

// The answers of S3 are flat XML without attributes that matter: elements of a name, one after the other or in each
// other. What does not look like that is as though it were not there.

/// What stands in each element of this name, as it is written; elements inside of it too.
std::vector<std::string_view> xml_elements(std::string_view text, std::string_view name);
/// What stands in the first one, with &amp; and the like taken back; empty where there is none.
std::string xml_text(std::string_view text, std::string_view name);

}  // namespace tintype
