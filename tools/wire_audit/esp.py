# SPDX-License-Identifier: Apache-2.0
"""Opens ESP packets (RFC 4303) with logged keys."""
import struct
from dataclasses import dataclass

from . import packets

_TUNNEL = {4: 4, 41: 6}  # next header -> IP version inside
_DUMMY = 59
_FIRST_HIGHS = range(0, 17)  # where to look for a sequence number's high half before any packet of the SA was seen


@dataclass
class Opened:
    """What was in an ESP packet. seq: the whole sequence number, high half included. fault: a kind of violation, or None."""

    key: object
    seq: int
    iv: bytes
    inner: object
    fault: str = None
    text: str = ""


def header(data):
    """(SPI, low sequence number) of an ESP packet, or None where it is too short to be one."""
    return struct.unpack_from("!II", data) if len(data) >= 8 else None


def open_packet(log, data, outer):
    """Tries the keys logged for the SPI, those of the outer packet's destination and the newest first."""
    spi, low = header(data)
    candidates = sorted(reversed(log.esp.get(spi, [])), key=lambda k: k.dst != str(outer.dst))
    if not candidates:
        return Opened(None, low, b"", None, "unknown-spi", f"SPI {spi:#010x} is not in the key log")
    for key in candidates:
        for high in _highs(key, low):
            plain = _verify(key, data, high)
            if plain is not None:
                key.high, key.last = high, low
                return _contents(key, data, (high << 32) | low, plain, outer)
    return Opened(None, low, b"", None, "bad-icv", f"SPI {spi:#010x} sequence {low}: the ICV does not verify with the logged key")


def _highs(key, low):
    if not key.esn:
        return (0,)
    if key.high is None:
        return _FIRST_HIGHS
    likely = key.high + (low < key.last and key.last - low > 1 << 31) - (low > key.last and low - key.last > 1 << 31)
    return dict.fromkeys(h for h in (likely, key.high, key.high + 1, key.high - 1) if h >= 0)


def _verify(key, data, high):
    sealed = key.sealed
    iv, body = data[8:8 + sealed.iv_size], data[8 + sealed.iv_size:]
    upper = struct.pack("!I", high) if key.esn else b""
    if sealed.aead:
        return sealed.open(iv, body, data[:4] + upper + data[4:8])  # RFC 4106 5, RFC 7634 2.1
    return sealed.open(iv, body, data[:8], upper)  # RFC 4303 2.2.1


def _contents(key, data, seq, plain, outer):
    iv = data[8:8 + key.sealed.iv_size]
    if len(plain) < 2:
        return Opened(key, seq, iv, None, "bad-padding", "no trailer")
    pad, kind = plain[-2], plain[-1]
    if pad + 2 > len(plain) or plain[len(plain) - 2 - pad:-2] != bytes(range(1, pad + 1)):
        return Opened(key, seq, iv, None, "bad-padding", f"SPI {key.spi:#010x} sequence {seq}: padding is not 1, 2, 3...")
    if kind == _DUMMY:
        return Opened(key, seq, iv, None)
    payload = plain[:len(plain) - 2 - pad]
    if key.transport:
        return Opened(key, seq, iv, packets.Packet(outer.version, outer.src, outer.dst, kind, payload, outer.ident))
    inner = packets.parse(payload) if kind in _TUNNEL else None
    if inner is None or inner.version != _TUNNEL[kind]:
        return Opened(key, seq, iv, None, "bad-inner", f"SPI {key.spi:#010x} sequence {seq}: next header {kind} holds no whole packet")
    return Opened(key, seq, iv, inner)
