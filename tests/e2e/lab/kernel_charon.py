# SPDX-License-Identifier: Apache-2.0
"""strongSwan on a real kernel's ESP: charon with kernel-netlink inside the guest kernel of guest.py.

Unlike charon with kernel-libipsec it speaks plain ESP where there is no NAT, and ESN.
"""
from .charon import PLUGINS, braces
from .net import wait_until

HOME = "/run/peer"  # of its files, in the guest's own tmpfs


class KernelCharon:
    """charon in the guest of a KernelPeer."""

    def __init__(self, peer, swanctl):
        self.peer = peer
        peer.exec(f"mkdir -p {HOME}/swanctl")
        peer.write(f"{HOME}/swanctl/swanctl.conf", braces(swanctl))
        levels = {"path": "/run/charon.log", "default": 1, "ike": 2, "cfg": 2, "knl": 2, "flush_line": "yes"}
        charon = {"load_modular": "no", "load": PLUGINS.replace("kernel-libipsec ", ""), "retransmit_tries": 3, "retransmit_timeout": 1.0,
                  "filelog": {"file": levels}, "plugins": {"vici": {"socket": "unix:///run/charon.vici"}}}
        peer.write(f"{HOME}/strongswan.conf", braces({"charon": charon}))
        self.env = f"STRONGSWAN_CONF={HOME}/strongswan.conf SWANCTL_DIR={HOME}/swanctl"

    def start(self):
        self.peer.exec(f"{self.env} setsid /usr/lib/ipsec/charon >/run/charon.out 2>&1 & "
                       "for i in $(seq 200); do [ -S /run/charon.vici ] && exit 0; sleep 0.05; done; cat /run/charon.out; exit 1")
        self.swanctl("--load-all --noprompt")
        return self

    def swanctl(self, words, ok=(0,)):
        return self.peer.exec(f"{self.env} swanctl {words} --uri unix:///run/charon.vici 2>&1", ok)

    def initiate(self, child):
        return self.swanctl(f"--initiate --child {child} --timeout 20")

    def terminate(self):
        return self.swanctl("--terminate --ike net --timeout 20")

    def log(self):
        return self.peer.exec("cat /run/charon.log", ok=None)

    def wait_installed(self, child, timeout=15):
        wait_until(lambda: any(f"{child}:" in line and "INSTALLED" in line for line in self.swanctl("--list-sas").splitlines()), timeout,
                   lambda: f"charon installs {child}; {self.log()[-800:]}")
