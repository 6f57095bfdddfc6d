#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A client of Tintype's control socket, in one file: an example, and enough for scripts.

The protocol is described in vmm/control/README.md: JSON-RPC 2.0, one message a line, over a Unix socket.

    with Machine("work") as machine:
        machine.call("pause")
        report = machine.call("checkpoint", repository="/tmp/photos", progress=print)
        machine.call("continue")
    for event in Machine("work").follow("events", past=True):
        print(event["event"])

`events past=True` begins with what has happened, `console past=BYTES` with the last so many bytes that were printed.

From a shell: tintype.py NAME METHOD [KEY=VALUE]...   (values are JSON, or else text; `events` and `console` go on)
"""

import json
import os
import socket
import sys


class Refused(Exception):
    """The machine refused a call; `code` is JSON-RPC's, the text is for people."""

    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


def runtime_directories():
    """Where a machine's socket may be, the most likely first."""
    if "TINTYPE_RUNTIME_DIR" in os.environ:
        return [os.environ["TINTYPE_RUNTIME_DIR"]]
    directories = []
    if "XDG_RUNTIME_DIR" in os.environ:
        directories.append(os.path.join(os.environ["XDG_RUNTIME_DIR"], "tintype"))
    return directories + [f"/run/user/{os.getuid()}/tintype", "/run/tintype"]


def text_of(value):
    """Console text and paths: a string, or {"bytes": "<hexadecimal>"} where it is not UTF-8. As bytes."""
    return bytes.fromhex(value["bytes"]) if isinstance(value, dict) else value.encode()


class Machine:
    """A connection to a running machine. One call at a time; what is followed wants a connection of its own."""

    def __init__(self, name, directory=None):
        for place in [directory] if directory else runtime_directories():
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                self._socket.connect(os.path.join(place, name + ".sock"))
                break
            except OSError:
                self._socket.close()
        else:
            raise LookupError(f"no machine named {name} is running")
        self._lines = self._socket.makefile("r", encoding="utf-8", newline="\n")
        self._last_id = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self._lines.close()
        self._socket.close()

    def call(self, method, progress=None, **params):
        """Calls and returns the result; `progress` is given what the machine tells meanwhile.

        Raises Refused, and ConnectionError where the machine ends first.
        """
        self._last_id += 1
        request = {"jsonrpc": "2.0", "id": self._last_id, "method": method, "params": params}
        self._socket.sendall(json.dumps(request).encode() + b"\n")
        for message in self._messages():
            if message.get("method") == "progress":
                if progress:
                    progress(message["params"])
            elif "error" in message:
                raise Refused(message["error"]["code"], message["error"]["message"])
            elif message.get("id") == self._last_id:
                return message["result"]
        raise ConnectionError("the machine ended before it answered")

    def follow(self, method, **params):
        """Calls "events" or "console" and yields what the machine tells, until it has ended."""
        self.call(method, **params)
        for message in self._messages():
            if "params" in message:
                yield message["params"]

    def _messages(self):
        for line in self._lines:
            yield json.loads(line)


def value_of(text):
    try:
        return json.loads(text)
    except ValueError:
        return text


def main(arguments):
    if len(arguments) < 2:
        print(__doc__.strip().splitlines()[-1], file=sys.stderr)
        return 2
    name, method, *rest = arguments
    params = {key: value_of(value) for key, _, value in (word.partition("=") for word in rest)}
    try:
        with Machine(name) as machine:
            if method in ("events", "console"):
                for news in machine.follow(method, **params):
                    print(json.dumps(news), flush=True)
            else:
                print(json.dumps(machine.call(method, **params)), flush=True)
    except BrokenPipeError:  # whoever read has had enough; what is still buffered goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        return 130
    except (Refused, LookupError, ConnectionError) as failure:
        print(failure, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
