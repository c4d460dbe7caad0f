"""What is done to the edge while the clients send, and what is asked of it afterwards."""
import os
import signal
import time
from dataclasses import dataclass, field

import judge
import lib  # of the end-to-end walk
import otlp
from disk import SmallDisk

BACK_SECONDS = 5  # from the kill until every port answers again
EASE_SECONDS = 120  # until all clients are through with what an outage kept back
FULL_SECONDS = 60
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

    def add_counters(self, server):
        """They begin at zero with each life of the process."""
        self.repeats += int(server.counters(DUPLICATES))
        self.refused += int(server.counters(REFUSED))


def killed(name, server, clients, directory, rounds, away_seconds, draw):
    """Kills the edge again and again; every third time it is asked to end instead, which is not counted as a kill."""
    outcome = Outcome(name)

    def work():
        while outcome.kills < rounds:
            kill_and_restart(server, clients, away_seconds, draw, outcome)
        all_at_ease(clients)

    with server:
        server.start()
        with_load(clients, server, directory, work)
        look(clients, server, outcome)
    return outcome


def kill_and_restart(server, clients, away_seconds, draw, outcome):
    number = outcome.kills + outcome.stops
    all_at_ease(clients)
    time.sleep(draw.uniform(0, 5))  # wherever in a window
    outcome.add_counters(server)
    while_under_way(clients[number % len(clients)], draw)
    gently, began = number % 3 == 2, time.monotonic()
    server.stop(signal.SIGTERM if gently else signal.SIGKILL)
    time.sleep(draw.uniform(*away_seconds))
    server.start()
    away = time.monotonic() - began
    assert away < BACK_SECONDS, f"back only after {away:.1f} s: what the exporters bridge is not known"
    outcome.away.append(away)
    outcome.stops += gently
    outcome.kills += not gently


def while_under_way(client, draw):
    """A request of this client has set out, and may be anywhere: still encoded, in the journal, just acked."""
    client.under_way.clear()
    assert client.under_way.wait(20), f"{client.service} sends nothing: {client.log}"
    time.sleep(draw.uniform(0, 0.03))


def filled(name, server, clients, directory, seconds):
    """The edge's disk is full for a while."""
    outcome = Outcome(name, full_seconds=seconds)
    with SmallDisk(os.path.join(directory, "disk")) as disk, server:
        server.data = os.path.join(disk.point, "data")
        server.start()
        with_load(clients, server, directory, lambda: fill(clients, disk, seconds))
        look(clients, server, outcome)
    assert outcome.refused, "nothing was refused: the disk was not full enough to say anything"
    return outcome


def fill(clients, disk, seconds):
    all_at_ease(clients)
    with disk.full():
        time.sleep(seconds)
    all_at_ease(clients)


def with_load(clients, server, directory, work):
    try:
        for client in clients:
            client.start(server, directory)
        work()
        for client in clients:
            client.dropped = client.finish()
    finally:
        for client in clients:
            client.stop()


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
