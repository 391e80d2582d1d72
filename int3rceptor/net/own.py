"""Whether a connection leads back to a listener of ours, by whatever name."""

import socket
from ipaddress import IPv4Address, IPv6Address, ip_address

Address = tuple[str, int]


def leads_to(sock: socket.socket, own: Address) -> bool:
    """Whether the far end of a connection is the listener at `own`.

    Judged by where it really leads, so that a name, another address of this machine or
    an IPv4 address in IPv6 makes no difference. OSError if it is no longer connected.
    """
    peer = sock.getpeername()
    if peer[1] != own[1]:
        return False
    here, there = _ip(own[0]), _ip(peer[0])
    if here == there:
        return True
    is_this_machine = there.is_loopback or there == _ip(sock.getsockname()[0])
    return here.is_unspecified and is_this_machine


def _ip(text: str) -> IPv4Address | IPv6Address:
    address = ip_address(text.partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
