// SPDX-License-Identifier: Apache-2.0
#include "vmm/cli/command_line.h"

int main(int argc, char** argv) { return tintype::run_command_line(argc, argv); }
