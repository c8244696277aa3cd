# SPDX-License-Identifier: Apache-2.0
"""Verifies the encrypted payloads of IKEv2 messages (RFC 7296 3.14, RFC 5282, RFC 7383) with logged keys."""
import struct
from dataclasses import dataclass

_SK, _SKF = 46, 53
_FROM_ORIGINAL_INITIATOR = 0x08


@dataclass
class Message:
    """An encrypted message. sealed: the direction's keys, or None. fault: a kind of violation, or None."""

    sealed: object
    iv: bytes
    fault: str = None
    text: str = ""


def open_message(log, data):
    """A Message, or None where the bytes are no IKEv2 message with an encrypted payload."""
    if len(data) < 28 or data[17] >> 4 != 2 or struct.unpack_from("!I", data, 24)[0] != len(data):
        return None
    at, kind = 28, data[16]
    while kind not in (_SK, _SKF):
        if kind == 0 or len(data) < at + 4:
            return None
        kind, size = data[at], struct.unpack_from("!H", data, at + 2)[0]
        if size < 4:
            return None
        at += size
    name = f"IKE {data[:8].hex()} message {struct.unpack_from('!I', data, 20)[0]}"
    key = log.ike.get((data[:8], data[8:16]))
    if key is None:
        return Message(None, b"", "unknown-ike-sa", f"{name}: its SPIs are not in the key log")
    sealed = key.from_initiator if data[19] & _FROM_ORIGINAL_INITIATOR else key.from_responder
    start = at + (8 if kind == _SKF else 4)
    iv, body = data[start:start + sealed.iv_size], data[start + sealed.iv_size:]
    if sealed.open(iv, body, data[:start]) is None:
        return Message(sealed, iv, "bad-icv", f"{name}: the ICV does not verify with the logged key")
    return Message(sealed, iv)
