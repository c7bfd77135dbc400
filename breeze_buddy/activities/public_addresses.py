"""Requests to addresses that users give: they stay out of private networks.

A name is checked when it is resolved for the connection, whatever it resolved to before.
"""

import ipaddress
import socket

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


class PrivateAddress(OSError):
    """An address inside a private network; the message says which setting allows it."""


class PublicResolver(AbstractResolver):
    """Resolves names to public addresses only: the check and the connection see the same address.

    `allowed_by` is the setting that an error names.
    """

    def __init__(self, allowed_by: str) -> None:
        self._allowed_by = allowed_by
        self._inner = aiohttp.ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        for address in found:
            check_public(address["host"], self._allowed_by)
        return found

    async def close(self) -> None:
        await self._inner.close()


def check_public(host: str, allowed_by: str) -> None:
    """Raise PrivateAddress when `host` is written as an address that is not public; `allowed_by` is the setting."""
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return
    inside = _carried(address)
    if not address.is_global or address.is_multicast or (inside is not None and not inside.is_global):
        raise PrivateAddress(f"{host} is not a public address; set {allowed_by}=true to allow it")


def _carried(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that an IPv6 one stands for: mapped, 6to4 or NAT64."""
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour
