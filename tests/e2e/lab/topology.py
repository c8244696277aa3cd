# SPDX-License-Identifier: Apache-2.0
"""The networks that the tests are played on.

              10.1.0.0/24                       192.0.2.0/24                    10.2.0.0/24
              fd01::/64                         2001:db8::/64                   fd02::/64
    [alice] eth0 --------- lan0 [moon] wan0 ------------------------ eth0 [carol] in0
        .10                 .1 (gateway) .1                          .2            .1

With `nat=True` carol sits behind a router that masquerades (IPv4 only):

    [moon] wan0 --- 192.0.2.0/24 --- out0 [nat] in0 --- 172.31.0.0/24 --- eth0 [carol] in0 10.2.0.1
        .1                            .2          .1                       .2

moon's devices get no address here: the daemon under test (or the test, for a plain kernel moon) gives them.
Captures belong at eth0 of alice ("inside") and at the far end of wan0 ("outside").
"""
from .net import run

MOON4, CAROL4 = "192.0.2.1", "192.0.2.2"
MOON6, CAROL6 = "2001:db8::1", "2001:db8::2"
MOON_IN4, ALICE4, CAROL_IN4 = "10.1.0.1", "10.1.0.10", "10.2.0.1"
MOON_IN6, ALICE6, CAROL_IN6 = "fd01::1", "fd01::10", "fd02::1"
CAROL_BEHIND_NAT = "172.31.0.2"
LAN4, LAN6, FAR4, FAR6 = "10.1.0.0/24", "fd01::/64", "10.2.0.0/24", "fd02::/64"


class Gateway:
    """alice - moon - carol, see the drawing above."""

    def __init__(self, lab, nat=False, mtu=1500, wan="wan0", lan="lan0"):
        self.lab, self.wan = lab, wan
        self.alice, self.moon, self.carol = (lab.namespace(n) for n in ("alice", "moon", "carol"))
        self.nat = None
        lab.veth(self.moon, lan, self.alice, "eth0")
        self.alice.address("eth0", f"{ALICE4}/24", f"{ALICE6}/64")
        self.alice.route(f"default via {MOON_IN4}", f"default via {MOON_IN6}")
        if nat:
            self._through_nat(mtu)
        else:
            lab.veth(self.moon, wan, self.carol, "eth0", mtu)
            self.carol.address("eth0", f"{CAROL4}/24", f"{CAROL6}/64")
            self.outside, self.outside_device = self.carol, "eth0"
        self.carol.forward()
        self.carol.bridge("in0", f"{CAROL_IN4}/24", f"{CAROL_IN6}/64")

    def _through_nat(self, mtu):
        self.nat = self.lab.namespace("nat")
        self.lab.veth(self.moon, self.wan, self.nat, "out0", mtu)
        self.lab.veth(self.nat, "in0", self.carol, "eth0", mtu)
        self.nat.address("out0", f"{CAROL4}/24")
        self.nat.address("in0", "172.31.0.1/24")
        self.nat.forward()
        self.carol.address("eth0", f"{CAROL_BEHIND_NAT}/24")
        self.carol.route("default via 172.31.0.1")
        self.outside, self.outside_device = self.nat, "out0"
        self.masquerade("20000-20999")

    def masquerade(self, ports):
        """Maps what carol sends to a source port of the range; flows that exist get a new mapping at once."""
        rules = f"""table ip lab
delete table ip lab
table ip lab {{
  chain post {{
    type nat hook postrouting priority srcnat;
    oifname "out0" meta l4proto {{ tcp, udp }} masquerade to :{ports}
    oifname "out0" masquerade
  }}
}}
"""
        self.nat.run("nft -f -", stdin=rules)
        self._forget_flows()

    def _forget_flows(self):
        """Flows masqueraded to an address are flushed when the interface loses it, so it goes and comes back."""
        self.nat.ip(f"addr del {CAROL4}/24 dev out0")
        self.nat.address("out0", f"{CAROL4}/24")

    def kernel_moon(self):
        """Makes moon an ordinary router with addresses, for peers that run on the kernel."""
        self.moon.address("lan0", f"{MOON_IN4}/24", f"{MOON_IN6}/64")
        self.moon.address("wan0", f"{MOON4}/24", f"{MOON6}/64")
        self.moon.forward()


def leftovers(prefix):
    """Names of namespaces with this prefix: what a closed Lab must not leave."""
    return [line.split()[0] for line in run("ip netns list").stdout.splitlines() if line.startswith(prefix)]
