# SPDX-License-Identifier: Apache-2.0
"""The quick start of README.md, word for word: its gateway configuration and its strongSwan client find each other."""
import re
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parent)]
from lab.audit import Audited
from lab.charon import Charon
from lab.net import Lab
from lab.sluiced import METRICS_PORT, Sluiced
from lab.topology import ALICE4, CAROL_IN4, Gateway
from lab.traffic import ping, ping_until
from script import case, check, check_equal, main

README = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")


def block(after, language):
    """The first fenced block of this language behind a text."""
    return re.search(rf"```{language}\n(.*?)```", README[README.index(after):], re.S)[1]


@case("the documented client reaches the documented gateway")
def quick_start():
    with Lab("readme") as lab:
        gateway = Gateway(lab, wan="eth0", lan="eth1")
        # What a test adds: places of its own for state and socket, and leave to write keys for the audit.
        places = f'[daemon]\nstate_dir = "{lab.work}/state"\nvici_socket = "unix://{lab.work}/sluice.vici"\n'
        places += f'[metrics]\nlisten = "127.0.0.1:{METRICS_PORT}"\n[debug]\nallow_key_log = true\n'
        daemon = Sluiced(gateway.moon, block("The gateway, `sluice.toml`", "toml") + places).start()
        with Audited(lab, daemon, gateway.alice, gateway.outside, gateway.outside_device, esp_at_least=10):
            client = Charon(gateway.carol, block("The client, `/etc/swanctl", "")).start()
            client.wait_installed("net")
            ping_until(gateway.carol, ALICE4, CAROL_IN4)
            check_equal(ping(gateway.carol, ALICE4, CAROL_IN4, count=5), 5)
            check_equal(ping(gateway.alice, CAROL_IN4, count=5), 5)
        check("office.example.org" in daemon.ctl("list-sas").stdout, "list-sas shows the client")


if __name__ == "__main__":
    main()
