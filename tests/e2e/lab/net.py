# SPDX-License-Identifier: Apache-2.0
"""Network namespaces, veth pairs and the processes in them, all gone when the Lab closes."""
import contextlib
import ctypes
import itertools
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from pathlib import Path

CLONE_NEWNET = 0x40000000
_SERIAL = itertools.count()
_LIBC = ctypes.CDLL(None, use_errno=True)


class CommandFailed(AssertionError):
    """A command of the lab ended with an exit code that nobody expected."""


def run(command, ok=(0,), timeout=60, stdin=None):
    """Runs `command` (a list, or words in a string) and returns the CompletedProcess with text output."""
    words = command.split() if isinstance(command, str) else [str(word) for word in command]
    done = subprocess.run(words, input=stdin, stdin=subprocess.DEVNULL if stdin is None else None, capture_output=True, text=True,
                          errors="replace", timeout=timeout, check=False)
    if ok is not None and done.returncode not in ok:
        raise CommandFailed(f"`{' '.join(words)}` gave {done.returncode}: {done.stderr.strip()[-400:] or done.stdout.strip()[-400:]}")
    return done


class Process:
    """A child process with a log file. Ended by its own pid (and its session), never by name."""

    def __init__(self, words, log, env=None, stdin=subprocess.DEVNULL):
        self.log = Path(log)
        with open(self.log, "ab") as output:
            self.popen = subprocess.Popen([str(w) for w in words], stdin=stdin, stdout=output, stderr=output, env=env,
                                          start_new_session=True)
        self.pid = self.popen.pid

    def alive(self):
        return self.popen.poll() is None

    def text(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def stop(self, how=signal.SIGTERM, grace=10):
        """Signals the process, waits for it, and makes an end after `grace` seconds. Returns its exit code."""
        if self.alive():
            self.popen.send_signal(how)
            try:
                self.popen.wait(grace)
            except subprocess.TimeoutExpired:
                pass
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        return self.popen.wait()

    def kill(self):
        """What `kill -9` does."""
        self.popen.kill()
        return self.popen.wait()


class Namespace:
    """One network namespace of a Lab."""

    def __init__(self, lab, short):
        self.lab = lab
        self.short = short
        self.name = f"{lab.prefix}{short}"
        run(["ip", "netns", "add", self.name])
        lab.at_end(self._remove)
        self.ip("link set lo up")

    def _remove(self):
        for pid in run(["ip", "netns", "pids", self.name], ok=None).stdout.split():
            with contextlib.suppress(ProcessLookupError, ValueError):
                os.kill(int(pid), signal.SIGKILL)
        run(["ip", "netns", "del", self.name], ok=None)

    def ip(self, arguments):
        return run(["ip", "-n", self.name] + arguments.split())

    def prefix_words(self):
        return ["ip", "netns", "exec", self.name]

    def run(self, command, ok=(0,), timeout=60, stdin=None):
        words = command.split() if isinstance(command, str) else list(command)
        return run(self.prefix_words() + words, ok, timeout, stdin)

    def start(self, command, log, env=None):
        """Starts `command` in the namespace; it ends with the Lab if nobody ended it before."""
        words = command.split() if isinstance(command, str) else list(command)
        process = Process(self.prefix_words() + words, self.lab.logs / log, env)
        self.lab.at_end(process.stop)
        return process

    def call(self, function, *arguments):
        """Runs `function` in a thread that has entered the namespace: sockets made there live there."""
        box = {}

        def body():
            try:
                with open(f"/run/netns/{self.name}", "rb") as handle:
                    if _LIBC.setns(handle.fileno(), CLONE_NEWNET) != 0:
                        raise OSError(ctypes.get_errno(), f"setns {self.name}")
                box["value"] = function(*arguments)
            except BaseException as error:  # handed to the caller's thread below
                box["error"] = error

        thread = threading.Thread(target=body, daemon=True)
        thread.start()
        while thread.is_alive():
            thread.join(0.2)
        if "error" in box:
            raise box["error"]
        return box["value"]

    def address(self, device, *addresses):
        for address in addresses:
            self.ip(f"addr add {address} dev {device}" + (" nodad" if ":" in address else ""))

    def route(self, *routes):
        """Routes such as "10.2.0.0/16 via 192.0.2.1"."""
        for route in routes:
            self.ip(f"{'-6 ' if ':' in route else ''}route replace {route}")

    def sysctl(self, **values):
        for key, value in values.items():
            self.run(["sysctl", "-qw", f"{key.replace('__', '.')}={value}"])

    def forward(self):
        self.sysctl(net__ipv4__ip_forward=1, net__ipv6__conf__all__forwarding=1)

    def bridge(self, device, *addresses):
        """An interface of its own, always up, to hold the addresses of a network behind this host."""
        self.ip(f"link add {device} type bridge")
        self.ip(f"link set {device} up")
        self.address(device, *addresses)

    def plain_offloads(self, device):
        """A veth with transmit offload sends unfinished checksums and packets above its MTU: not what a wire carries."""
        self.run(["ethtool", "-K", device, "tx", "off", "tso", "off", "gso", "off", "gro", "off"], ok=None)

    def mac(self, device):
        return self.ip(f"-br link show dev {device}").stdout.split()[2]


class Lab:
    """Owns everything that a test makes on the machine. Use it as a context manager, or call close().

    prefix: stands before the name of every namespace, different in every run.
    logs:   where logs, captures and generated configuration go; they stay.
    work:   short path for sockets and state; removed at the end.
    """

    def __init__(self, name="lab", prefix=None):
        self.prefix = prefix or f"sl{os.getpid()}{chr(ord('a') + next(_SERIAL) % 26)}-"
        self._ends = contextlib.ExitStack()
        self.work = Path(tempfile.mkdtemp(prefix=self.prefix))
        self.at_end(shutil.rmtree, self.work, True)
        self.logs = self._fresh(Path(os.environ.get("SLUICE_LOGS") or tempfile.mkdtemp(prefix="sluice-logs-")), name)

    @staticmethod
    def _fresh(folder, name):
        """A folder that holds nothing yet: what an earlier Lab of this name wrote is not taken for this one's."""
        for serial in itertools.count(1):
            path = folder / (name if serial == 1 else f"{name}-{serial}")
            with contextlib.suppress(FileExistsError):
                path.mkdir(parents=True)
                return path

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def at_end(self, function, *arguments):
        """Registers a call for the end; the last registered runs first, and one that fails does not stop the others."""
        self._ends.callback(self._quietly, function, *arguments)

    @staticmethod
    def _quietly(function, *arguments):
        with contextlib.suppress(Exception):
            function(*arguments)

    def close(self):
        """Removes everything. A second Ctrl-C does not stop it half way."""
        if threading.current_thread() is not threading.main_thread():
            self._ends.close()
            return
        before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            self._ends.close()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def abandon(self):
        """Leaves everything running and takes the duty to remove it from this object."""
        self._ends.pop_all()

    def namespace(self, short):
        return Namespace(self, short)

    def veth(self, left, left_device, right, right_device, mtu=1500):
        """A wire between two namespaces, up at both ends, without offloads."""
        run(f"ip link add {left_device} netns {left.name} mtu {mtu} type veth peer name {right_device} netns {right.name} mtu {mtu}")
        for space, device in ((left, left_device), (right, right_device)):
            space.plain_offloads(device)
            space.ip(f"link set {device} up")


def wait_until(condition, timeout, text, interval=0.03):
    """Polls until `condition()` is true and returns its value; raises AssertionError with `text` after `timeout` seconds."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {timeout} s: {text() if callable(text) else text}")
        time.sleep(interval)
