"""CBOR (RFC 8949) as AWS's RPC v2 protocol writes it: definite lengths, doubles, and times as tagged seconds since the
epoch.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import singledispatch

_UNSIGNED, _NEGATIVE, _BYTES, _TEXT, _ARRAY, _MAP, _TAG = range(7)
_EPOCH_SECONDS = 1


@singledispatch
def encode(value: object) -> bytes:
    """The bytes of a value; members of a mapping that are ``None`` are left out.

    :raises TypeError: for a type that no AWS shape has.
    """
    raise TypeError(f"CBOR has no form for a {type(value).__name__}")


@encode.register
def _(value: bool) -> bytes:
    return b"\xf5" if value else b"\xf4"


@encode.register
def _(value: int) -> bytes:
    return _head(_UNSIGNED, value) if value >= 0 else _head(_NEGATIVE, -1 - value)


@encode.register
def _(value: float) -> bytes:
    return b"\xfb" + struct.pack(">d", value)


@encode.register
def _(value: bytes) -> bytes:
    return _head(_BYTES, len(value)) + value


@encode.register
def _(value: str) -> bytes:
    text = value.encode()
    return _head(_TEXT, len(text)) + text


@encode.register
def _(value: datetime) -> bytes:
    return _head(_TAG, _EPOCH_SECONDS) + encode(value.timestamp())


@encode.register(Sequence)
def _(value: Sequence[object]) -> bytes:
    return _head(_ARRAY, len(value)) + b"".join(map(encode, value))


@encode.register(Mapping)
def _(value: Mapping[str, object]) -> bytes:
    members = {key: member for key, member in value.items() if member is not None}
    return _head(_MAP, len(members)) + b"".join(encode(key) + encode(member) for key, member in members.items())


def _head(major: int, size: int) -> bytes:
    """The first byte, which holds the major type, and a size that is as long as it needs to be."""
    if size < 24:
        return bytes([major << 5 | size])
    exponent = next(exponent for exponent in range(4) if size < 1 << (8 << exponent))
    return bytes([major << 5 | 24 + exponent]) + size.to_bytes(1 << exponent, "big")
