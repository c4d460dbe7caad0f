"""What the senders wrote down, added up here, against what the edge answers: group by group and window by window.

    acked            has to be there, once
    not acked        may be there, as a whole, or not; a client that sends again has none of these at the end

Nothing of the product's own arithmetic is used: a span's window is that of its end, its bucket the first bound that holds
its nanoseconds, its share of the sum whole microseconds, rounded half up.
"""
import bisect
import collections
from dataclasses import dataclass, field

WINDOW_SECONDS = 10
WINDOW_NS = WINDOW_SECONDS * 10**9
BOUNDS_MS = (2, 4, 6, 8, 10, 50, 100, 200, 400, 800, 1000, 1400, 2000, 5000, 10000, 15000)
BOUNDS_NS = [ms * 10**6 for ms in BOUNDS_MS]
LES = [*map(float, BOUNDS_MS), float("inf")]
COUNT, SUM_US = 0, 1  # of a cell; the buckets follow, each without those below
FIRST_BUCKET = 2
STATUS = {"STATUS_CODE_UNSET": 0, "STATUS_CODE_OK": 1, "STATUS_CODE_ERROR": 2}
METRIC = "llm_traces_span_metrics_"


@dataclass
class Batch:
    """A request's worth of spans: [name, status, end_ns, duration_ns] each."""

    spans: list
    acked: bool | None = None  # until the exporter said


@dataclass
class Judgement:
    sent: int = 0
    acked: int = 0
    stored: int = 0
    given_up: int = 0  # batches
    stored_though_given_up: int = 0
    wrong: list = field(default_factory=list)


def new_cell():
    return [0] * (FIRST_BUCKET + len(LES))


def cells_of(batches):
    """{(name, status): {window: cell}}"""
    groups = collections.defaultdict(lambda: collections.defaultdict(new_cell))
    for batch in batches:
        for name, status, end_ns, duration_ns in batch.spans:
            cell = groups[name, status][int(end_ns) // WINDOW_NS]
            duration_ns = int(duration_ns)
            cell[COUNT] += 1
            cell[SUM_US] += (duration_ns + 500) // 1000
            cell[FIRST_BUCKET + bisect.bisect_left(BOUNDS_NS, duration_ns)] += 1
    return groups


def judge(server, service, batches, names_tell_batches):
    found = Judgement(
        sent=sum(len(batch.spans) for batch in batches),
        acked=sum(len(batch.spans) for batch in batches if batch.acked),
    )
    given_up = [batch for batch in batches if not batch.acked]
    found.given_up = len(given_up)
    ends = [int(span[2]) // WINDOW_NS for batch in batches for span in batch.spans]
    stored = ask(server, service, min(ends), max(ends), found.wrong)
    found.stored = sum(cell[COUNT] for windows in stored.values() for cell in windows.values())

    expected = [batch for batch in batches if batch.acked]
    if names_tell_batches:
        for batch in given_up:
            if whole(batch, stored, found.wrong):
                found.stored_though_given_up += 1
                expected.append(batch)
        compare(cells_of(expected), cells_of(expected), stored, found.wrong)
    else:
        compare(cells_of(expected), cells_of(batches), stored, found.wrong)
    if not found.acked <= found.stored <= found.sent:
        found.wrong.append(f"acked {found.acked}, stored {found.stored}, sent {found.sent}")
    return found


def whole(batch, stored, wrong):
    """Whether the batch is there. A part of it would be wrong."""
    there = {group: stored[group] for group in cells_of([batch]) if group in stored}
    if there and there != cells_of([batch]):
        wrong.append(f"a part of {batch.spans[0][0]}: {there} of {dict(cells_of([batch]))}")
    return bool(there)


def compare(least, most, stored, wrong):
    """Every value of every cell lies between the two, which are the same where all was acked."""
    nothing = new_cell()
    for group in {*most, *stored}:
        for window in {*most.get(group, {}), *stored.get(group, {})}:
            low, high, have = (of.get(group, {}).get(window, nothing) for of in (least, most, stored))
            if any(not a <= b <= c for a, b, c in zip(low, have, high)):
                wrong.append(f"{group} in window {window}: {have}, not {low if low == high else (low, high)}")


def ask(server, service, first, last, wrong):
    """{(name, status): {window: cell}} as the edge has it, of differences of its cumulative series."""
    stored = collections.defaultdict(lambda: collections.defaultdict(new_cell))
    for family, place in (("calls_total", COUNT), ("latency_sum", SUM_US), ("latency_bucket", FIRST_BUCKET)):
        for digit in range(10):  # answers of a size that is easy to read
            expr = f'{METRIC}{family}{{service_name="{service}",span_name=~".*{digit}"}}'
            answer = server.query_range(expr, first * WINDOW_SECONDS, (last + 1) * WINDOW_SECONDS, WINDOW_SECONDS)
            for series, points in answer.items():
                add(stored, dict(series), points, place, wrong)
    for windows in stored.values():
        for window in list(windows):
            cell = windows[window]
            cell[FIRST_BUCKET:] = differences(cell[FIRST_BUCKET:])
            if not any(cell):
                del windows[window]
            elif cell[COUNT] != sum(cell[FIRST_BUCKET:]):
                wrong.append(f"a count of {cell[COUNT]} with buckets {cell[FIRST_BUCKET:]}")
    return {group: dict(windows) for group, windows in stored.items() if windows}


def add(stored, labels, points, place, wrong):
    group = labels["span_name"], STATUS[labels["status_code"]]
    if place == FIRST_BUCKET:
        place += LES.index(float(labels["le"]))
    before = 0
    for at, value in points:
        value = round(value * 1000) if place == SUM_US else int(value)
        if value < before:
            wrong.append(f"{labels} falls from {before} to {value} at {at}")
        stored[group][int(at) // WINDOW_SECONDS - 1][place] += value - before
        before = value


def differences(cumulative):
    return [high - low for low, high in zip([0, *cumulative], cumulative)]
