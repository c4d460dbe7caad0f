"""What is done to the edge while the clients send, and what is asked of it afterwards."""
import contextlib
import os
import signal
import time
from dataclasses import dataclass, field

import judge
import lib  # of the end-to-end walk
import otlp
from disk import SmallDisk
from wire import Wire

BACK_SECONDS = 5  # from the kill until every port answers again
EASE_SECONDS = 120  # until all clients are through with what an outage kept back
DUPLICATES, REFUSED = "^tributary_edge_requests_duplicate_total", "^tributary_edge_requests_refused_total"


@dataclass
class Outcome:
    """What one phase did, and what became of each client."""

    name: str
    kills: int = 0
    stops: int = 0
    full_seconds: int = 0
    away: list = field(default_factory=list)  # seconds
    repeats: int = 0  # requests that the edge met again
    refused: int = 0
    rows: list = field(default_factory=list)
    idle: str = ""  # why this phase proves nothing, if it does not

    def add_counters(self, server):
        """They begin at zero with each life of the process."""
        self.repeats += int(server.counters(DUPLICATES))
        self.refused += int(server.counters(REFUSED))


def killed(name, server, clients, directory, rounds, away_seconds, draw):
    """Every third time the edge is asked to end instead, which is not counted as a kill."""
    outcome = Outcome(name)

    def work():
        while outcome.kills < rounds:
            number = outcome.kills + outcome.stops
            at_a_moment(server, clients, draw, outcome)
            while_under_way(clients[number % len(clients)], draw)
            gently = number % 3 == 2
            restart(server, draw.uniform(*away_seconds), outcome, signal.SIGTERM if gently else signal.SIGKILL)
        all_at_ease(clients)

    with server:
        server.start()
        with_load(clients, ports_of(server), directory, work)
        look(clients, server, outcome)
    return outcome


def answers_lost(name, server, clients, directory, rounds, away_seconds, draw):
    """The edge is killed with requests on disk whose clients do not know it."""
    outcome = Outcome(name)
    offset = lib.free_offset()
    wires = {port: Wire(port + offset, to) for port, to in ports_of(server).items()}

    def work():
        while outcome.kills < rounds:
            at_a_moment(server, clients, draw, outcome)
            for wire in wires.values():
                wire.hold()
            for wire in wires.values():
                assert wire.held.wait(20), "nothing was answered"
            time.sleep(draw.uniform(0.1, 0.6))  # until others wait for an answer, too
            restart(server, draw.uniform(*away_seconds), outcome, signal.SIGKILL, wires.values())
        all_at_ease(clients)

    with server, contextlib.ExitStack() as cut:
        server.start()
        for wire in wires.values():
            wire.mend()
            cut.callback(wire.cut)
        with_load(clients, {port: wire.port for port, wire in wires.items()}, directory, work)
        look(clients, server, outcome)
    outcome.idle = "" if outcome.repeats else "no request was met again"
    return outcome


def filled(name, server, clients, directory, seconds):
    """The edge's disk is full for a while."""
    outcome = Outcome(name, full_seconds=seconds)

    def work():
        all_at_ease(clients)
        with disk.full():
            time.sleep(seconds)
        all_at_ease(clients)

    with SmallDisk(os.path.join(directory, "disk")) as disk, server:
        server.data = os.path.join(disk.point, "data")
        server.start()
        with_load(clients, ports_of(server), directory, work)
        look(clients, server, outcome)
    outcome.idle = "" if outcome.refused else "no request was refused"
    return outcome


def ports_of(server):
    return {port: server.port(port) for port in (lib.OTLP_GRPC, lib.OTLP_HTTP)}


def with_load(clients, ports, directory, work):
    try:
        for client in clients:
            client.start(ports, directory)
        work()
        for client in clients:
            client.end_load()
        for client in clients:
            client.dropped = client.finish()
    finally:
        for client in clients:
            client.stop()


def at_a_moment(server, clients, draw, outcome):
    """Wherever in a window; and its counters are kept, which end with this life."""
    all_at_ease(clients)
    time.sleep(draw.uniform(0, 5))
    outcome.add_counters(server)


def while_under_way(client, draw):
    """A request of this client has set out, and may be anywhere: still encoded, in the journal, just acked."""
    client.under_way.clear()
    assert client.under_way.wait(20), f"{client.service} sends nothing: {client.log}"
    time.sleep(draw.uniform(0, 0.03))


def restart(server, away_seconds, outcome, how, wires=()):
    began = time.monotonic()
    server.stop(how)
    for wire in wires:
        wire.cut()
    time.sleep(away_seconds)
    server.start()
    for wire in wires:
        wire.mend()
    away = time.monotonic() - began
    assert away < BACK_SECONDS, f"back only after {away:.1f} s: what the exporters bridge is not known"
    outcome.away.append(away)
    outcome.kills += how == signal.SIGKILL
    outcome.stops += how == signal.SIGTERM


def all_at_ease(clients):
    """Until each client had something acked since now, and has no backlog: one batch meets one outage at most."""
    before = {client.service: client.progress() for client in clients}

    def probe():
        for client in clients:
            assert client.progress() > before[client.service] and client.at_ease(), f"{client.service} is not through"
        return True

    lib.eventually(EASE_SECONDS, probe)


def look(clients, server, outcome):
    """Windows are complete in order: once a span that came after all others answers, one look decides."""
    outcome.add_counters(server)
    otlp.send(server, otlp.spans(1, "probe", "last"))
    lib.eventually(2 * lib.ANSWER_SECONDS, lambda: last_answers(server))
    for client in clients:
        found = judge.judge(server, client.service, client.written(), names_tell_batches=not client.sends_again)
        outcome.rows.append((client, found))


def last_answers(server):
    answer = server.api("query", query=f'{lib.CALLS}{{service_name="probe"}}')
    assert not answer.get("warnings") and answer["data"]["result"], f"not complete yet: {answer}"
    return True
