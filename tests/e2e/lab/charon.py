# SPDX-License-Identifier: Apache-2.0
"""strongSwan's charon in a namespace, with ESP in user space (kernel-libipsec): the peer that users have.

It has no plain ESP (always UDP), no ESN and no transport mode. Every instance sees a /run and an /etc/swanctl of its own.
"""
import shutil

from .net import run, wait_until

PLUGINS = ("random nonce aes sha1 sha2 md5 hmac kdf xcbc cmac gcm ccm ctr gcrypt gmp curve25519 chapoly openssl x509 pubkey pkcs1 pkcs8 "
           "pem constraints revocation kernel-libipsec kernel-netlink socket-default vici updown resolve counters")
# OpenSSL's ciphers before the plain ones: ten times the throughput. Tests that audit every packet take the slow ones.
FAST_PLUGINS = "openssl " + PLUGINS.replace(" openssl", "")
DEAD_ENDS = ("x509", "x509ca", "x509aa", "x509ac", "x509crl", "x509ocsp", "pubkey", "private", "rsa", "ecdsa", "pkcs8", "pkcs12")


def braces(value, depth=0):
    """Nested dictionaries as strongSwan's configuration syntax; a list is joined by commas."""
    pad = "  " * depth
    out = ""
    for key, item in value.items():
        if isinstance(item, dict):
            out += f"{pad}{key} {{\n{braces(item, depth + 1)}{pad}}}\n"
        else:
            out += f"{pad}{key} = {','.join(map(str, item)) if isinstance(item, (list, tuple)) else item}\n"
    return out


class Charon:
    """One charon. `swanctl` holds connections and secrets as nested dictionaries in swanctl.conf's words."""

    def __init__(self, space, swanctl, options=None, name=None):
        self.space = space
        self.name = name or f"charon-{space.short}"
        self.home = space.lab.work / self.name
        self.log_path = space.lab.logs / f"{self.name}.log"
        self.options = {"retransmit_tries": 3, "retransmit_timeout": 1.0, **(options or {})}
        self.process = None
        (self.home / "run").mkdir(parents=True)
        (self.home / "swanctl").mkdir()
        for folder in DEAD_ENDS:
            (self.home / "swanctl" / folder).mkdir()
        self._write_options()
        self.configure(swanctl)
        space.lab.at_end(self.stop)

    def _write_options(self):
        levels = {"path": self.log_path, "time_format": "%H:%M:%S", "default": 1, "ike": 2, "cfg": 2, "esp": 1, "flush_line": "yes"}
        charon = {"load_modular": "no", "load": PLUGINS, "install_virtual_ip": "yes", "filelog": {"file": levels},
                  "plugins": {"vici": {"socket": f"unix://{self.home}/run/charon.vici"}}, **self.options}
        (self.home / "strongswan.conf").write_text(braces({"charon": charon}), encoding="utf-8")

    def configure(self, swanctl):
        """Writes swanctl.conf from dictionaries or as given; a running charon takes it with load()."""
        text = swanctl if isinstance(swanctl, str) else braces(swanctl)
        (self.home / "swanctl/swanctl.conf").write_text(text, encoding="utf-8")
        shutil.copy(self.home / "swanctl/swanctl.conf", self.space.lab.logs / f"{self.name}.swanctl.conf")

    def start(self):
        binds = f"mount --bind {self.home}/run /run && mount --bind {self.home}/swanctl /etc/swanctl"
        words = ["sh", "-c", f"{binds} && exec env STRONGSWAN_CONF={self.home}/strongswan.conf /usr/lib/ipsec/charon"]
        self.process = self.space.start(words, f"{self.name}.stdout")
        socket = self.home / "run/charon.vici"
        wait_until(lambda: socket.exists() or not self.process.alive(), 15, "charon opens its VICI socket")
        if not self.process.alive():
            raise AssertionError(f"charon ended: {self.log()[-1000:]} {self.process.text()[-500:]}")
        self.load()
        return self

    def stop(self):
        if self.process:
            self.process.stop()
            self._clean_run()

    def kill(self):
        self.process.kill()
        self._clean_run()

    def _clean_run(self):
        for left in (self.home / "run").glob("charon.*"):
            left.unlink()

    def swanctl(self, *words, ok=(0,), timeout=40):
        """Runs swanctl against this charon and returns what it printed."""
        env = [f"SWANCTL_DIR={self.home}/swanctl", f"STRONGSWAN_CONF={self.home}/strongswan.conf"]
        done = run(["env", *env, "swanctl", *words, "--uri", f"unix://{self.home}/run/charon.vici"], ok, timeout)
        return done.stdout + done.stderr

    def load(self):
        self.swanctl("--load-all", "--noprompt")

    def initiate(self, child, timeout=20, ok=(0,)):
        return self.swanctl("--initiate", "--child", child, "--timeout", str(timeout), ok=ok, timeout=timeout + 10)

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def sas(self):
        return self.swanctl("--list-sas")

    def wait_installed(self, child, timeout=15):
        """Until a child of this name is installed."""
        wait_until(lambda: any(f"{child}:" in line and "INSTALLED" in line for line in self.sas().splitlines()), timeout,
                   lambda: f"charon installs {child}; {self.sas()} {self.log()[-500:]}")


def psk_connection(local, remote, local_id, remote_id, children, secret=None, **keys):
    """A connection `net` with pre-shared keys on both sides, as `Charon` takes it. `secret` None: no secret is written."""
    conn = {"version": 2, "local_addrs": local, "remote_addrs": remote, "proposals": "aes128gcm16-prfsha256-x25519", **keys,
            "local": {"auth": "psk", "id": local_id}, "remote": {"auth": "psk", "id": remote_id}, "children": children}
    out = {"connections": {"net": conn}}
    if secret is not None:
        out["secrets"] = {"ike-net": {"id-1": local_id, "id-2": remote_id, "secret": f'"{secret}"'}}
    return out
