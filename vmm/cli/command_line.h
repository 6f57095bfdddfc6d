// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace tintype {

/// The whole program: finds the verb, parses its options, carries it out and returns the exit status: 0 fine, 1 failed,
/// 2 wrong usage, or for `run` and `restore` the guest's own. Prints every error as one sentence on stderr.
int run_command_line(int argc, char** argv);

}  // namespace tintype
