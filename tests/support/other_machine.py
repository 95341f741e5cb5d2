"""Another machine, as far as the network can tell: a namespace with an address of its own."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# Networks that are kept for documentation: no other has their addresses, but a sandbox may.
_NETWORKS = ("198.51.100", "203.0.113", "192.0.2")


@dataclass(frozen=True, slots=True)
class OtherMachine:
    """What runs in it is reached at its address alone, and reaches nothing but this machine."""

    name: str
    address: str

    @property
    def prefix(self) -> tuple[str, ...]:
        """What stands before a command line that shall run there."""
        return ("ip", "netns", "exec", self.name)


class NoNetwork(Exception):
    """Namespaces cannot be made here: it takes Linux, iproute2 and root."""


@contextlib.contextmanager
def other_machine() -> Iterator[OtherMachine]:
    """Make one, wired to this machine; it is gone at the end.

    Raises:
        NoNetwork: that cannot be done here.
    """
    if shutil.which("ip") is None:
        raise NoNetwork("there is no ip command; install iproute2")
    name = f"pyllama{os.getpid()}"
    ours, theirs = f"{name}a"[-15:], f"{name}b"[-15:]
    network = _free_network()
    try:
        _ip("netns", "add", name)
        _ip("link", "add", ours, "type", "veth", "peer", "name", theirs, "netns", name)
        _ip("address", "add", f"{network}.1/30", "dev", ours)
        _ip("link", "set", ours, "up")
        _ip("-netns", name, "address", "add", f"{network}.2/30", "dev", theirs)
        for device in ("lo", theirs):
            _ip("-netns", name, "link", "set", device, "up")
        yield OtherMachine(name, f"{network}.2")
    finally:
        # The wire goes with the namespace, but not before the last process in it has ended.
        for words in (("link", "delete", ours), ("netns", "delete", name)):
            with contextlib.suppress(NoNetwork):
                _ip(*words)


def _free_network() -> str:
    """Return a network that this machine has no address in."""
    taken = _ip("-oneline", "-4", "address", "show")
    free = next((network for network in _NETWORKS if f" {network}." not in taken), None)
    if free is None:
        raise NoNetwork("every network for documentation is in use here")
    return free


def _ip(*words: str) -> str:
    command = [shutil.which("ip") or "ip", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise NoNetwork(f"ip {' '.join(words)}: {done.stderr.strip()}")
    return done.stdout
