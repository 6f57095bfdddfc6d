#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Exercise 7: reads a checkpoint's memory without Tintype. README.md beside it says what to do.

usage: reader.py CHECKPOINT-DIRECTORY OUTPUT
"""
import json
import pathlib
import struct
import sys

BLOCK = 4096


def extents_of(part):
    """(first block, number of blocks, offset in the file, or None where they are zero) for each entry of the index.

    `part` is the whole file. FORMAT.md has the layout of footer and index. Data must not be compressed.
    """
    footer = len(part) - 64
    if part[:8] != b"TINTPART" or part[footer:footer + 8] != b"TINTPEND":
        sys.exit("this is no part")
    index, entries = struct.unpack_from("<QQ", part, footer + 16)
    extents = []
    for entry in range(entries):
        first, count, codec, zero, _, offset, _, _ = struct.unpack_from("<QIBBHQQQ", part, index + 40 * entry)
        if codec != 0:
            sys.exit("compressed data: take the checkpoint with --compress none")
        extents.append((first, count, None if zero else offset))
    return extents


def main():
    directory = pathlib.Path(sys.argv[1])
    manifest = json.loads((directory / "checkpoint.json").read_text())
    (memory,) = [part for part in manifest["parts"] if part["name"] == "memory"]
    part = (directory / memory["file"]).read_bytes()
    content = bytearray(memory["content_bytes"])
    blocks = 0
    for first, count, offset in extents_of(part):
        if offset is not None:
            content[first * BLOCK:(first + count) * BLOCK] = part[offset:offset + count * BLOCK]
            blocks += count
    pathlib.Path(sys.argv[2]).write_bytes(content)
    if blocks != memory["data_blocks"]:
        sys.exit(f"{blocks} blocks with data, but the manifest says {memory['data_blocks']}")
    print("all blocks with data are there")


main()
