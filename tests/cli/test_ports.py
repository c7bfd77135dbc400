"""Ports: the usual ones if free, otherwise a message that helps."""

import socket

import pytest

from breeze_buddy.cli.errors import PortTaken
from breeze_buddy.cli.ports import StackPorts, free_ports, is_free, require_free


def test_a_taken_port_is_named_with_who_wants_it_and_what_to_do() -> None:
    ports = free_ports()
    with socket.create_server(("127.0.0.1", ports.temporal)), pytest.raises(PortTaken) as refusal:
        require_free(ports)
    message = str(refusal.value)
    assert f"port {ports.temporal} is taken, and Temporal wants it" in message
    assert "--free-ports" in message
    assert "--port-base" in message
    assert str(ports.api) not in message


def test_free_ports_can_all_be_listened_on() -> None:
    ports = free_ports()
    assert require_free(ports) == ports
    assert len(set(ports.by_name().values())) == 5


def test_a_port_base_gives_a_block_of_ports() -> None:
    assert StackPorts.from_base(9000).by_name() == {
        "api": 9000,
        "media": 9001,
        "simulator": 9002,
        "temporal": 9003,
        "temporal_ui": 9004,
    }


def test_connections_of_an_earlier_run_that_linger_do_not_take_the_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        client = socket.create_connection(("127.0.0.1", port))
        accepted, _ = server.accept()
        accepted.close()  # the server's side closes first, so it is the one that lingers in TIME_WAIT
        client.close()
    assert is_free(port)
