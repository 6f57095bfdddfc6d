// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace tintype {

/// The commit that this program was built from; empty where it was not built from a repository of them.
const char* revision() noexcept;

}  // namespace tintype
