# SPDX-License-Identifier: Apache-2.0
"""A real Linux kernel as an IPsec peer: User-Mode Linux on a TAP in a namespace, with static SAs by `ip xfrm`.

It does plain ESP, ESN and every replay window, at some 100 Mbit/s: for correctness, not for load.

    [moon] wan0 --- guest0 [guestnet: bridge br0] tap0 === vec0 [guest kernel]
"""
import base64
import contextlib
import gzip
import itertools
import os
import signal
import subprocess
from pathlib import Path

from .net import Process, run, wait_until

PIECE = 2000  # characters of a file in one console line, which holds 4095
HERE = Path(__file__).resolve().parent
KNOWN_XSAVE = "amx_tile"  # a processor with it has a larger register area than the stock kernel knows


def shim(lab):
    """The library that the guest kernel needs on this host, compiled; None where it needs none."""
    flags = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    if KNOWN_XSAVE not in flags and not os.environ.get("SLUICE_UML_SHIM"):
        return None
    library = lab.work / "uml_shim.so"
    if not library.exists():
        run(["gcc", "-O2", "-Wall", "-shared", "-fPIC", "-o", library, HERE / "uml_shim.c", "-ldl"])
    return library


class UmlGuest:
    """A guest kernel whose vec0 is the TAP `tap` of `space`. Commands run one at a time through its console."""

    def __init__(self, space, tap="tap0", memory="128M"):
        self.space = space
        self.umid = f"{space.name}-{tap}"
        self.home = space.lab.work / self.umid
        self.home.mkdir()
        self.serial = itertools.count()
        space.ip(f"tuntap add mode tap {tap}")
        space.plain_offloads(tap)
        space.ip(f"link set {tap} up")
        self._start(tap, memory)

    def _start(self, tap, memory):
        fifo = self.home / "console"
        os.mkfifo(fifo)
        self.console = os.open(fifo, os.O_RDWR)
        library = shim(self.space.lab)
        env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "TMPDIR": "/dev/shm", "HOME": str(self.home)}
        words = self.space.prefix_words() + ["env", "-i", *[f"{k}={v}" for k, v in env.items()]]
        words += [f"LD_PRELOAD={library}"] if library else []
        words += ["/usr/bin/linux.uml", f"mem={memory}", f"umid={self.umid}", "rootfstype=hostfs", "rootflags=/", "root=/dev/root", "ro",
                  "con=null", "con0=fd:0,fd:1", "quiet", "loglevel=3", f"vec0:transport=tap,ifname={tap},gro=1", f"init={HERE}/guest_init.sh"]
        self.process = Process(words, self.space.lab.logs / f"{self.umid}.log", stdin=self.console)
        self.space.lab.at_end(self.stop)
        wait_until(lambda: "guest ready" in self.process.text() or not self.process.alive(), 30,
                   lambda: f"the guest boots: {self.process.text()[-500:]}")
        if not self.process.alive():
            raise AssertionError(f"the guest kernel ended: {self.process.text()[-1000:]}")

    def exec(self, command, ok=(0,), timeout=90):
        """Runs a shell command line in the guest and returns its output."""
        if not self.process.alive():
            raise AssertionError(f"the guest kernel is gone: {self.process.text()[-500:]}")
        mark = f"end-{os.getpid()}-{next(self.serial)}:"
        seen = len(self.process.text())
        os.write(self.console, f"( {command} ) </dev/null; code=$?; echo; echo {mark}$code\n".encode())
        wait_until(lambda: f"{mark}" in self.process.text()[seen:].rpartition("\n")[0] or not self.process.alive(), timeout,
                   f"the guest answers to `{command}`", 0.01)
        text = self.process.text()[seen:].replace("\r", "")
        output, _, code = text.partition(mark)
        status = int(code.split()[0]) if code.split() else 255
        if ok is not None and status not in ok:
            raise AssertionError(f"in the guest `{command}` gave {status}: {output.strip()[-600:]}")
        return output.strip()

    def write(self, path, text):
        """A file in the guest's own tmpfs, since it does not see the host's /tmp: through the console, in pieces that its line discipline takes."""
        encoded = base64.b64encode(gzip.compress(text.encode())).decode()
        self.exec(f": >{path}.encoded")
        for at in range(0, len(encoded), PIECE):
            self.exec(f"printf %s {encoded[at:at + PIECE]} >>{path}.encoded")
        self.exec(f"base64 -d {path}.encoded | gunzip >{path}")

    def stop(self):
        """Powers the guest off; what is left of it (it traces children of its own) is ended by pid."""
        if self.process.alive():
            os.write(self.console, b"poweroff -f\n")
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.popen.wait(3)
        self.process.stop(signal.SIGKILL)
        for pid in self._remains():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(OSError):
            os.close(self.console)

    def _remains(self):
        """Processes whose command line carries this guest's own umid."""
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    if f"umid={self.umid}".encode() in (entry / "cmdline").read_bytes().split(b"\0"):
                        yield int(entry.name)


class KernelPeer:
    """A guest at the far side of moon's wan0, with the addresses of carol (see topology.py)."""

    def __init__(self, lab, moon, address4="192.0.2.2/24", address6="2001:db8::2/64", inner=("10.2.0.1/24", "fd02::1/64")):
        self.space = lab.namespace("guestnet")
        lab.veth(moon, "wan0", self.space, "guest0")
        self.space.ip("link add br0 type bridge")
        self.space.sysctl(net__ipv6__conf__all__disable_ipv6=1)
        self.guest = UmlGuest(self.space)
        for device in ("guest0", "tap0"):
            self.space.ip(f"link set {device} master br0")
        self.space.ip("link set br0 up")
        for device in ("br0", "guest0", "tap0"):
            self.space.plain_offloads(device)
        inside = " && ".join(f"ip addr add {a} dev inner0{' nodad' if ':' in a else ''}" for a in inner)
        self.guest.exec(f"ip link set vec0 up && ip addr add {address4} dev vec0 && ip addr add {address6} dev vec0 nodad && "
                        f"ip link add inner0 type dummy && ip link set inner0 up && {inside} && "
                        "sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1")

    def exec(self, command, ok=(0,), timeout=90):
        return self.guest.exec(command, ok, timeout)

    def write(self, path, text):
        self.guest.write(path, text)

    def clear(self):
        self.exec("ip xfrm state flush; ip xfrm policy flush")

    def xfrm_errors(self):
        """The kernel's XFRM counters that are not zero."""
        text = self.exec("cat /proc/net/xfrm_stat")
        return {name: int(value) for name, value in (line.split() for line in text.splitlines() if line.strip()) if int(value)}
