"""One scenario: both sides up, rounds in turn, then both are asked what they counted."""
import json
import os
import statistics
import subprocess
import time
from dataclasses import dataclass, field

from expected import Counts
import lib
import machine
from sides import say

COMPLETE_SECONDS = 90  # from the last round to complete answers


@dataclass
class Plan:
    loader: str
    rounds: int
    seconds: float
    warmup: float
    settle: float


@dataclass
class Scenario:
    name: str
    what: str
    flags: list = field(default_factory=list)
    load: bool = True


SCENARIOS = {s.name: s for s in [
    Scenario("512", "512 spans a request, 1,000 groups, flat out"),
    Scenario("50", "50 spans a request, 1,000 groups, flat out", ["--spans", "50"]),
    Scenario("gzip", "512 spans a request, gzip, 1,000 groups, flat out", ["--gzip"]),
    Scenario("zstd", "512 spans a request, zstd, 1,000 groups, flat out", ["--zstd"]),
    Scenario("http", "512 spans a request by OTLP/HTTP, 1,000 groups, flat out", ["--protocol", "http"]),
    Scenario("shuffled", "512, attributes in another order in each span and with values of their own",
             ["--shuffled", "--distinct-values"]),
    Scenario("20k", "512 spans a request, 20,000 groups, flat out", ["--groups", "20000"]),
    Scenario("wide", "200 services × 100 names × 4 instances, flat out",
             ["--services", "200", "--names", "100", "--instances", "4"]),
    Scenario("steady", "512 spans a request, 1,000 groups, 50,000 spans/s", ["--rate", "50000"]),
    Scenario("idle", "nothing is sent", load=False),
]}


@dataclass
class Round:
    spans: int
    cpu: float  # of the side's process, load and settling
    cpu_load: float  # while it was loaded
    rest: float  # the machine without loader and both sides: kernel threads, and whoever else is here
    rate: float
    p50: float
    p99: float
    loader_cpu: float
    retries: int
    syncs: dict  # of its journal, by upper bound in seconds; a side without one has none


@dataclass
class Result:
    side: str
    rounds: list = field(default_factory=list)
    expected: Counts = field(default_factory=Counts)
    peak_mib: float = 0.0
    rss_mib: float = 0.0
    idle_cpu: float = 0.0  # of one processor, in percent
    wrong: str = ""  # what it counted otherwise than the loader

    def median(self, of):
        return statistics.median(map(of, self.rounds)) if self.rounds else float("nan")

    @property
    def cpu_per_million(self):
        return self.median(lambda r: r.cpu / r.spans * 1e6)


def run(scenario, sides, plan):
    """Results by side, in the order of the sides."""
    results = [Result(side.name) for side in sides]
    for side in sides:
        side.start()
    if scenario.load:
        for side, result in zip(sides, results):
            loaded(scenario, side, sides, result, plan, plan.warmup, measured=False)
        for number in range(plan.rounds):
            for side, result in zip(sides, results):
                loaded(scenario, side, sides, result, plan, plan.seconds, measured=True)
                done = result.rounds[-1]
                say(f"  {scenario.name}, round {number + 1}, {side.name}: "
                    f"{done.cpu / done.spans * 1e6:.3f} CPU-s a million, {done.rate / 1e6:.3f} M spans/s")
    else:
        time.sleep(plan.warmup)
        idle(sides, results, plan.seconds)
    for side, result in zip(sides, results):
        result.peak_mib, result.rss_mib = (machine.status_mib(side.pid, f) for f in ("VmHWM", "VmRSS"))
    if scenario.load:
        for side, result in zip(sides, results):
            result.wrong = incomplete(side, result.expected)
        time.sleep(plan.settle)  # what is counted twice may come late
        for side, result in zip(sides, results):
            result.wrong = result.wrong or side.counts().unlike(result.expected)
    return results


def loaded(scenario, side, sides, result, plan, seconds, measured):
    protocol = "http" if "http" in scenario.flags else "grpc"
    command = [plan.loader, "load", "--to", side.address(protocol), "--seconds", str(seconds), "--wait", *scenario.flags]
    loader = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        ready = loader.stdout.readline()
        if ready != b"ready\n":
            raise RuntimeError(f"{' '.join(command)} did not get ready")
        pids = [s.pid for s in sides]
        before = machine.usage(*pids)
        loader_before = machine.cpu_seconds(loader.pid)
        syncs_before = side.syncs()
        loader.stdin.write(b"\n")
        loader.stdin.flush()
        line = loader.stdout.readline()
        _, status, used = os.wait4(loader.pid, 0)
        loader.returncode = os.waitstatus_to_exitcode(status)
    finally:
        if loader.returncode is None:
            loader.kill()
            loader.wait()
        loader.stdin.close()
        loader.stdout.close()
    at_load_end = machine.usage(*pids)
    syncs = {bound: count - syncs_before[bound] for bound, count in side.syncs().items()}
    report = json.loads(line)
    if loader.returncode:
        report.pop("tally")
        raise RuntimeError(f"{side.name} did not take everything: {report}")
    result.expected.add(report["tally"])
    time.sleep(plan.settle if measured else 0)
    if not measured:
        return
    while_loaded = at_load_end.since(before)
    whole = machine.usage(*pids).since(before)
    loader_cpu = used.ru_utime + used.ru_stime - loader_before
    result.rounds.append(Round(
        spans=report["acked_spans"],
        cpu=whole.of[side.pid],
        cpu_load=while_loaded.of[side.pid],
        rest=while_loaded.busy - loader_cpu - sum(while_loaded.of.values()),
        rate=report["spans_per_second"],
        p50=report["ack_ms"]["p50"],
        p99=report["ack_ms"]["p99"],
        loader_cpu=loader_cpu,
        retries=report["retries"],
        syncs=syncs,
    ))


def quantile_ms(buckets, q):
    """Of cumulative counts by upper bound in seconds; linear within a bucket."""
    bounds = sorted(buckets)
    wanted = q * buckets[bounds[-1]]
    below, previous = 0, 0.0
    for bound in bounds:
        if buckets[bound] >= wanted and buckets[bound] > below:
            return 1000 * (previous + (bound - previous) * (wanted - below) / (buckets[bound] - below))
        below, previous = buckets[bound], bound
    return float("nan")


def idle(sides, results, seconds):
    before = machine.usage(*(side.pid for side in sides))
    time.sleep(seconds)
    spent = machine.usage(*(side.pid for side in sides)).since(before)
    for side, result in zip(sides, results):
        result.idle_cpu = 100 * spent.of[side.pid] / spent.at


def incomplete(side, expected):
    """Waits until all spans are visible; says how many are, if that never comes."""
    def complete():
        calls = side.calls()
        assert calls >= expected.calls, f"{calls} of {expected.calls} spans"
        return True

    try:
        lib.eventually(COMPLETE_SECONDS, complete, every=1)
    except AssertionError as missing:
        return str(missing)
    return ""
