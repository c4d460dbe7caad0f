"""kill -9 at random under concurrent load, again and again on one DIR: `make crash ROUNDS=30`.

`make e2e` has one round of each moment.

After each restart a new span must answer in time and without a warning. Windows are complete in order, so whatever was
acked before is complete by then too, and one look decides: acked spans are there once, unknown ones at most once.
"""
import argparse
import os
import random
import shutil
import sys
import tempfile
import time

from lib import ANSWER_SECONDS, CALLS, Server, eventually, free_offset
from oracle import Client
from otlp import send, spans
from report import Report

CLIENTS = 4
WINDOW_SECONDS = 10
MOMENTS = ("at once", "in an open window", "around a seal", "while starting")


def walk(report, directory):
    rounds(report, directory, len(MOMENTS), int.from_bytes(os.urandom(4), "big"))


def rounds(report, directory, count, seed):
    print(f"crash: seed {seed}, {count} rounds, {CLIENTS} clients", flush=True)
    draw, service = random.Random(seed), f"crash-{seed}"
    clients = [Client(f"c{i}", draw.random(), service) for i in range(CLIENTS)]
    tally = {"unknown": 0, "landed": 0, "sound": 0}
    began = int(time.time())
    offset = free_offset()
    with Server(directory, offset) as server:
        server.start()
        for number in range(1, count + 1):
            moment = MOMENTS[(number + seed) % len(MOMENTS)]
            with report.check(f"round {number} of {count}, killed {moment}") as note:
                one_round(server, clients, draw, moment, service, number, began, tally, note)
                tally["sound"] += 1
        finish(report, server, clients, service, began)
        with report.check("a clean end after all of it"):
            seconds, code = server.stop()
            assert code == 0 and seconds < 1, f"{seconds:.2f} s, exit {code}"
    requests, acked = sum(c.requests for c in clients), sum(sum(c.acked.values()) for c in clients)
    print(
        f"crash: seed {seed}: {tally['sound']} of {count} rounds sound, {requests} requests acked with {acked} spans,"
        f" {tally['unknown']} unknown, of which {tally['landed']} landed",
        flush=True,
    )


def one_round(server, clients, draw, moment, service, number, began, tally, note):
    for client in clients:
        client.start(server)
    time.sleep(load_seconds(draw, moment))  # chaos needs a moment, not a state: this one is drawn
    assert server.process.poll() is None, f"it ended by itself: {server.log}"
    server.kill()
    for client in clients:
        client.stop()
    if moment == "while starting":
        server.spawn()
        time.sleep(draw.uniform(0, 0.6))
        server.kill()
    ready = server.start()
    unknown = sum(bool(client.unknown) for client in clients)

    restarted = time.monotonic()
    send(server, spans(1, f"{service}-probe", f"probe-{number}"))
    eventually(ANSWER_SECONDS, lambda: probe_answers(server, service, number))
    answered = time.monotonic() - restarted

    found = by_group(server.query(f'{CALLS}{{service_name="{service}"}}'))
    wrong = [line for client in clients for line in client.wrong + client.settle(found)]
    tally["unknown"] += unknown
    tally["landed"] += sum(client.landed for client in clients)
    note.say(f"ready after {ready:.2f} s, a new span answered after {answered:.1f} s, {unknown} unknown")
    assert not wrong, "\n".join(wrong)
    never_falls(server, service, began)


def load_seconds(draw, moment):
    if moment == "at once":
        return draw.uniform(0.01, 0.5)
    if moment == "around a seal":  # a window's end and its grace, wherever in them
        return WINDOW_SECONDS - time.time() % WINDOW_SECONDS + draw.uniform(-0.2, 3.5)
    return draw.uniform(0.5, WINDOW_SECONDS)


def probe_answers(server, service, number):
    answer = server.api("query", query=f'{CALLS}{{service_name="{service}-probe",span_name="probe-{number}"}}')
    assert not answer.get("warnings"), f"warnings: {answer['warnings']}"
    assert answer["data"]["result"], "the probe does not answer yet"
    assert [series["value"][1] for series in answer["data"]["result"]] == ["1"], answer
    return True


def by_group(answer):
    return {dict(series)["span_name"]: value for series, value in answer.items()}


def never_falls(server, service, began):
    now = int(time.time())
    step = max(1, (now - began) // 5000)
    for series, points in server.query_range(f'{CALLS}{{service_name="{service}"}}', began, now, step).items():
        falls = [(a, b) for a, b in zip(points, points[1:]) if b[1] < a[1]]
        assert not falls, f"a counter fell: {dict(series)['span_name']} {falls[:3]}"


def finish(report, server, clients, service, began):
    with report.check("no reset in rate(): the increase over everything is what was sent"):
        seconds = int(time.time()) - began + 120
        increases = by_group(server.query(f'increase({CALLS}{{service_name="{service}"}}[{seconds}s])'))
        for client in clients:
            for group, count in client.acked.items():
                found = increases.get(group, 0)
                assert abs(found - count) < 1e-6 * max(1, count), f"{group}: increased by {found}, sent {count}"


def main():
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--rounds", type=int, default=30)
    options.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4), "big"))
    options = options.parse_args()
    report, directory = Report(), tempfile.mkdtemp(prefix="tributary-crash-")
    report.run("crash", lambda r, d: rounds(r, d, options.rounds, options.seed), directory)
    if not report.failed:
        shutil.rmtree(directory)
    report.summary()


if __name__ == "__main__":
    sys.exit(main())
