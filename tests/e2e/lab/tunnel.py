# SPDX-License-Identifier: Apache-2.0
"""sluiced in moon and strongSwan in carol with one connection between them: what most end-to-end tests start from."""
from . import topology
from .audit import Audited
from .charon import Charon, psk_connection
from .net import wait_until
from .sluiced import Sluiced, moon_config, psk_sections
from .topology import FAR4, FAR6, LAN4, LAN6, MOON4, MOON6
from .traffic import ping_until

SECRET = "a secret of the lab"
IKE = "aes128gcm16-prfsha256-x25519"
FAST_IKE = "retransmit_timeout = 0.4\nretransmit_tries = 3\nretransmit_base = 1.4"


def carol_connection(esp="aes128gcm16", secret=SECRET, behind_nat=False, outer6=False, start_action="none", **keys):
    """carol's swanctl.conf for psk_sections(): a child `net` over IPv4, and `net6` over IPv6."""
    child = {"esp_proposals": esp, "start_action": start_action}
    children = {"net": {"local_ts": FAR4, "remote_ts": LAN4, **child}, "net6": {"local_ts": FAR6, "remote_ts": LAN6, **child}}
    local = topology.CAROL_BEHIND_NAT if behind_nat else topology.CAROL6 if outer6 else topology.CAROL4
    return psk_connection(local, MOON6 if outer6 else MOON4, "carol.lab.test", "moon.lab.test", children, secret, **{"mobike": "no", **keys})


class Tunnel:
    """The pair. `esp` is both sides' proposal; `carol_keys` go into carol's connection, `moon_keys` (TOML text) into moon's;
    `carol_options` are charon's own."""

    def __init__(self, lab, esp="aes128gcm16", nat=False, outer6=False, start_action="none", moon_keys="", carol_keys=None, ike=FAST_IKE,
                 secret=SECRET, driver="af_xdp", log_level="info", carol_proposal=None, carol_options=None):
        self.lab, self.outer6 = lab, outer6
        self.gateway = topology.Gateway(lab, nat=nat)
        self.alice, self.moon, self.carol = self.gateway.alice, self.gateway.moon, self.gateway.carol
        remote = "%any" if nat else topology.CAROL6 if outer6 else topology.CAROL4
        sections = psk_sections(esp, start_action, secret=secret, remote_addrs=remote, local_addrs=MOON6 if outer6 else MOON4, keys=moon_keys,
                                children={"net": ([LAN4], [FAR4]), "net6": ([LAN6], [FAR6])})
        self.daemon = Sluiced(self.moon, moon_config(lab, sections, driver=driver, ike=ike, log_level=log_level))
        self.peer = Charon(self.carol, carol_connection(carol_proposal or esp, behind_nat=nat, outer6=outer6, **(carol_keys or {})),
                           carol_options)

    def start(self):
        self.daemon.start()
        self.peer.start()
        wait_until(self.peer_reachable, 10, "carol reaches moon")
        return self

    def peer_reachable(self):
        return self.carol.run(["ping", "-n", "-c", "1", "-W", "0.3", MOON6 if self.outer6 else MOON4], ok=None).returncode == 0

    def up_from_carol(self, *children):
        for child in children or ("net",):
            self.peer.initiate(child)
            self.peer.wait_installed(child)

    def up_from_moon(self, *children):
        for child in children or ("net",):
            self.daemon.initiate(child)
            self.peer.wait_installed(child)

    def down_from_moon(self):
        self.daemon.ctl("terminate", "--ike", "carol", ok=(0, 1))
        wait_until(lambda: "ESTABLISHED" not in self.peer.sas(), 5, lambda: f"carol's SA ends; {self.peer.sas()}")

    def settle(self, v6=False):
        """First packets through: neighbours and SAs are in place afterwards."""
        ping_until(self.carol, topology.ALICE4, topology.CAROL_IN4)
        if v6:
            ping_until(self.carol, topology.ALICE6, topology.CAROL_IN6)

    def audited(self, name="audit", **words):
        """The block's traffic is captured on both sides and audited; see Audited."""
        return Audited(self.lab, self.daemon, self.alice, self.gateway.outside, self.gateway.outside_device, name, **words)
