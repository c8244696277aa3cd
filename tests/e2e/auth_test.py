# SPDX-License-Identifier: Apache-2.0
# timeout: 300
"""Public keys with a strongSwan client: RSA, ECDSA and Ed25519 over an intermediate, both initiate, in fragments; who is not trusted is refused."""
import subprocess
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parent)]
from lab.net import Lab, wait_until
from lab.topology import ALICE4, CAROL_IN4
from lab.traffic import ping
from lab.tunnel import Tunnel
from script import case, check, check_equal, main

KEYS = {"rsa": ["RSA", "-pkeyopt", "rsa_keygen_bits:3072"], "ecdsa": ["EC", "-pkeyopt", "ec_paramgen_curve:P-384"], "ed25519": ["ED25519"]}


def openssl(*words):
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True, timeout=30)


class Authority:
    """A root, an intermediate below it, and certificates of that, as files in a folder."""

    def __init__(self, folder, algorithm):
        self.folder, self.algorithm = folder, algorithm
        folder.mkdir()
        self.key("root")
        openssl("req", "-x509", "-new", "-key", folder / "root.key", "-subj", "/C=CH/O=Lab/CN=root", "-days", 30, "-out", folder / "root.pem",
                "-addext", "keyUsage=critical,keyCertSign,cRLSign")
        self.issue("middle", "root", "basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign,cRLSign\n")

    def key(self, name):
        openssl("genpkey", "-algorithm", *KEYS[self.algorithm], "-out", self.folder / f"{name}.key")

    def issue(self, name, issuer, extensions):
        self.key(name)
        (self.folder / f"{name}.ext").write_text(extensions + "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n")
        openssl("req", "-new", "-key", self.folder / f"{name}.key", "-subj", f"/C=CH/O=Lab/CN={name}", "-out", self.folder / f"{name}.csr")
        openssl("x509", "-req", "-in", self.folder / f"{name}.csr", "-CA", self.folder / f"{issuer}.pem", "-CAkey", self.folder / f"{issuer}.key",
                "-CAcreateserial", "-days", 30, "-extfile", self.folder / f"{name}.ext", "-out", self.folder / f"{name}.pem")

    def leaf(self, name):
        self.issue(name, "middle", f"subjectAltName=DNS:{name}\n")


def with_certificates(lab, algorithm, trusted=None):
    """A Tunnel whose two ends have certificates; moon trusts the root of `trusted` instead of the common one."""
    authority = Authority(lab.work / "ca", algorithm)
    for name in ("moon.lab.test", "carol.lab.test"):
        authority.leaf(name)
    tunnel = Tunnel(lab, carol_keys={"fragmentation": "yes"})
    ca = authority.folder
    root = (trusted or authority).folder / "root.pem"
    text = tunnel.daemon.config_path.read_text()
    text = text.replace('auth = "psk"\nid = "moon', f'auth = "pubkey"\ncerts = ["{ca}/moon.lab.test.pem", "{ca}/middle.pem"]\nid = "moon')
    text = text.replace('auth = "psk"\nid = "carol', 'auth = "pubkey"\nid = "carol')
    text = text[:text.index("[secrets.ike-carol]")] + f"""[secrets.private-moon]
file = "{ca}/moon.lab.test.key"
[authorities.root]
cacert = "{root}"
"""
    tunnel.daemon.configure(text)
    home = tunnel.peer.home / "swanctl"
    for source, target in (("carol.lab.test.pem", "x509/carol.pem"), ("middle.pem", "x509/middle.pem"), ("root.pem", "x509ca/root.pem"),
                           ("carol.lab.test.key", "private/carol.key")):
        (home / target).write_bytes((ca / source).read_bytes())
    conf = (home / "swanctl.conf").read_text()
    conf = conf.replace("auth = psk", "auth = pubkey").replace("id = carol.lab.test", "id = carol.lab.test\n      certs = carol.pem", 1)
    tunnel.peer.configure(conf[:conf.index("secrets {")])
    return tunnel


def both_ways(algorithm):
    with Lab(f"auth-{algorithm}") as lab:
        tunnel = with_certificates(lab, algorithm).start()
        with tunnel.audited(esp_at_least=10):
            tunnel.up_from_carol("net")
            tunnel.settle()
            check_equal(ping(tunnel.carol, ALICE4, CAROL_IN4, count=5, interval=0.02), 5)
            tunnel.down_from_moon()
            tunnel.up_from_moon("net")
            check_equal(ping(tunnel.alice, CAROL_IN4, ALICE4, count=5, interval=0.02), 5)
        if algorithm != "ed25519":  # whose certificates fit one packet
            check("[ EF(" in tunnel.peer.log(), "strongSwan got fragments")
        tunnel.daemon.stop()


@case("RSA over an intermediate: carol initiates, then Sluice", timeout=90)
def rsa():
    both_ways("rsa")


@case("ECDSA P-384 over an intermediate: carol initiates, then Sluice", timeout=90)
def ecdsa():
    both_ways("ecdsa")


@case("Ed25519 over an intermediate: carol initiates, then Sluice", timeout=90)
def ed25519():
    both_ways("ed25519")


@case("a root that moon does not trust: refused in both roles, nothing in clear", timeout=90)
def untrusted():
    with Lab("auth-untrusted") as lab:
        tunnel = with_certificates(lab, "ecdsa", Authority(lab.work / "other", "ecdsa")).start()
        with tunnel.audited(account=False):
            tunnel.peer.initiate("net", ok=None)
            check("AUTH_FAILED" in tunnel.peer.log(), "carol is told")
            tunnel.daemon.initiate("net", ok=(1,))
            check_equal(ping(tunnel.alice, CAROL_IN4, ALICE4, count=2, ok=False), 0)
        wait_until(lambda: "is not believed" in tunnel.daemon.log(), 5, "the log says why")


if __name__ == "__main__":
    main()
