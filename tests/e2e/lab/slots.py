# SPDX-License-Identifier: Apache-2.0
"""One daemon in moon and one charon in carol with many connections, each with addresses, an identity and networks of its own.

Connection number N has carol's address 192.0.2.(10 + N) or 2001:db8::(16 + N), the identity NAME.lab.test and a /29 out of 10.1.0.0/24 and
of 10.2.0.0/24, so that none stands in another's way.
"""
import re
from dataclasses import dataclass, field

from .audit import Audited
from .charon import Charon
from .net import Lab, wait_until
from .sluiced import Sluiced, moon_config
from .topology import MOON4, MOON6, Gateway
from .traffic import ping, ping_until
from .tunnel import FAST_IKE

IKE = "aes128gcm16-prfsha256-x25519"
ESP = "aes128gcm16"
SECRET = "a secret for all of them"


@dataclass
class Slot:
    """One connection, with one child of the same name. What is not said is like at the other end."""

    name: str
    moon_ike: str = IKE
    carol_ike: str = ""
    moon_esp: str = ESP
    carol_esp: str = ""
    moon_keys: str = ""  # TOML of moon's connection
    moon_child: str = ""  # TOML of moon's child
    carol_keys: dict = field(default_factory=dict)
    carol_child: dict = field(default_factory=dict)
    moon_id: str = ""  # what moon expects carol to be
    carol_ts: str = ""  # what charon asks for on both sides, if not nets(); "hosts": single addresses
    second: bool = False  # a second child NAME2 on the upper half of the same networks
    v6: bool = False
    number: int = 0

    @property
    def peer(self):
        return f"2001:db8::{self.number + 16:x}" if self.v6 else f"192.0.2.{self.number + 10}"

    def nets(self, half=0):
        """(moon's, carol's): a /29 each, two /30 where there is a second child."""
        at, length = self.number * 8 + half * 4, 30 if self.second else 29
        return f"10.1.0.{at}/{length}", f"10.2.0.{at}/{length}"

    def hosts(self, half=0):
        """(alice's, carol's) address in these networks."""
        at = self.number * 8 + half * 4 + 1
        return f"10.1.0.{at}", f"10.2.0.{at}"

    def children(self):
        return [(self.name, 0)] + ([(f"{self.name}2", 1)] if self.second else [])

    def toml(self):
        expected = self.moon_id or f"{self.name}.lab.test"
        text = f"""[connections.{self.name}]
local_addrs = ["{MOON6 if self.v6 else MOON4}"]
remote_addrs = ["{self.peer}"]
proposals = [{', '.join(f'"{p}"' for p in self.moon_ike.split(','))}]
{self.moon_keys}
local = {{ auth = "psk", id = "moon.lab.test" }}
remote = {{ auth = "psk", id = "{expected}" }}
"""
        for name, half in self.children():
            ours, theirs = self.nets(half)
            text += f"""[connections.{self.name}.children.{name}]
local_ts = ["{ours}"]
remote_ts = ["{theirs}"]
esp_proposals = ["{self.moon_esp}"]
{self.moon_child}
"""
        return text

    def swanctl(self):
        children = {}
        for name, half in self.children():
            ours, theirs = self.hosts(half) if self.carol_ts == "hosts" else (self.carol_ts,) * 2 if self.carol_ts else self.nets(half)
            children[name] = {"local_ts": theirs, "remote_ts": ours, "esp_proposals": self.carol_esp or self.moon_esp, **self.carol_child}
        return {"version": 2, "local_addrs": self.peer, "remote_addrs": MOON6 if self.v6 else MOON4,
                "proposals": self.carol_ike or self.moon_ike, "mobike": "no", **self.carol_keys,
                "local": {"auth": "psk", "id": f"{self.name}.lab.test"}, "remote": {"auth": "psk", "id": "moon.lab.test"}, "children": children}


class Slots:
    """moon and carol with all of `slots` (by name, numbered from 2 on in their order). close() removes it."""

    def __init__(self, slots):
        for number, slot in enumerate(slots, 2):
            slot.number = number
        self.slots = {slot.name: slot for slot in slots}
        self.lab = Lab("interop")
        self.gateway = Gateway(self.lab)
        self.alice, self.carol = self.gateway.alice, self.gateway.carol
        for slot in slots:
            self.carol.address("eth0", slot.peer + ("/64" if slot.v6 else "/24"))
            for half in range(1 + slot.second):
                ours, theirs = slot.hosts(half)
                self.alice.address("eth0", f"{ours}/32")
                self.carol.address("in0", f"{theirs}/32")
        self.daemon = Sluiced(self.gateway.moon, self.config(FAST_IKE))
        swanctl = {"connections": {slot.name: slot.swanctl() for slot in slots}, "secrets": {"ike-all": {"secret": f'"{SECRET}"'}}}
        self.charon = Charon(self.carol, swanctl, {"retransmit_timeout": 0.5, "retransmit_tries": 3, "retransmit_base": 1.4,
                                                   "make_before_break": "no", "half_open_timeout": 8})
        self.rounds = 0
        try:
            self.start()
        except BaseException:
            self.close()  # nobody has this object yet to close it
            raise

    def start(self):
        self.charon.start()
        self.daemon.start()
        wait_until(lambda: ping(self.carol, MOON4, timeout=0.3, ok=False), 10, "carol reaches moon")
        self.expected = 0  # ESP packets each way that must have passed moon
        self.rounds += 1
        self.audit = Audited(self.lab, self.daemon, self.alice, self.carol, "eth0", f"audit{self.rounds}", account=False)
        self.audit.__enter__()

    def config(self, ike):
        secrets = f'[secrets.ike-all]\nid = ["moon.lab.test"]\nsecret = "{SECRET}"\n'
        return moon_config(self.lab, "".join(slot.toml() for slot in self.slots.values()) + secrets, ike=ike)

    def end_audit(self, at_least):
        """Counts are asserted by check_counters(): the daemon's start anew where it does."""
        self.audit.__exit__(None, None, None)
        if self.audit.esp() < at_least:
            raise AssertionError(f"ESP on the wire: {self.audit.esp()}, want {at_least}")

    def restart(self, options, ike):
        """Both ends stop and start with these options of charon and this [ike] section; the audit begins anew."""
        self.charon.stop()
        self.daemon.stop()
        self.charon.options.update(options)
        self.charon._write_options()
        self.daemon.configure(self.config(ike))
        self.start()

    def ikes(self, name):
        """Moon's IKE SAs of a connection, as VICI shows them."""
        return [sa for shown in self.daemon.json("list-sas") for key, sa in shown.items() if key == name]

    def children(self, name):
        """Moon's installed children of this name."""
        return [child for shown in self.daemon.json("list-sas") for sa in shown.values() for child in sa["child-sas"].values()
                if child["name"] == name and child["state"] == "INSTALLED"]

    def charon_sas(self, name):
        """What charon shows of a connection."""
        return self.charon.swanctl("--list-sas", "--ike", name)

    def up(self, name):
        return self.charon.initiate(name)

    def traffic(self, name, half=0, count=3):
        """Pings both ways between the hosts of a slot; check_counters() asks the workers about them."""
        alice, carol = self.slots[name].hosts(half)
        ping_until(self.carol, alice, carol)
        for space, target, source in ((self.carol, alice, carol), (self.alice, carol, alice)):
            # With -w it waits for that many replies; otherwise it gives the last one no more than twice the round trip.
            space.run(["ping", "-n", "-q", "-i", "0.02", "-c", str(count), "-w", "5", "-I", source, target])
        self.expected += 2 * count

    def check_counters(self):
        """The workers sealed and accepted what traffic() saw; they publish once a second."""
        wait_until(lambda: min(self.daemon.esp_counts()) >= self.expected, 3,
                   lambda: f"the workers' ESP {self.daemon.esp_counts()}, {self.expected} each way at least")

    def gone(self, name):
        """Neither end has anything of the connection left."""
        wait_until(lambda: not self.ikes(name) and not self.charon_sas(name), 8,
                   lambda: f"{name} is gone: {self.ikes(name)} {self.charon_sas(name)}")

    def stream(self, name, seconds):
        """Starts pings carol -> alice every 20 ms; what is returned waits for their end and gives (sent, received)."""
        alice, carol = self.slots[name].hosts()
        words = ["ping", "-n", "-q", "-i", "0.02", "-W", "1", "-c", str(int(seconds * 50)), "-I", carol, alice]
        process = self.carol.start(words, f"stream-{name}.log")

        def ended():
            process.popen.wait(seconds * 2 + 5)
            return tuple(int(n) for n in re.search(r"(\d+) packets transmitted, (\d+) received", process.text()).groups())

        return ended

    def close(self):
        self.lab.close()
