# SPDX-License-Identifier: Apache-2.0
"""For drgn: all tasks of a kernel, and the stack of the first that has a frame of a function that matches.

usage: drgn -c CORE -s VMLINUX tasks.py PATTERN
"""
import re
import sys

from drgn.helpers.linux.pid import for_each_task


def waits_in(trace, pattern):
    return any(frame.name and re.search(pattern, frame.name) for frame in trace)


tasks = list(for_each_task(prog))  # noqa: F821, drgn's
for task in tasks:
    print("task", task.pid.value_(), task.comm.string_().decode(errors="replace"))
for task in tasks:
    try:
        trace = prog.stack_trace(task)  # noqa: F821
    except Exception as why:
        print("no stack of", task.pid.value_(), why)
        continue
    if waits_in(trace, sys.argv[1]):
        print("stack of", task.pid.value_())
        print(trace)
        break
