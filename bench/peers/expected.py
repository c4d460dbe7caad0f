"""What the loader's own tallies say must come out, and what a side says came out."""
import collections
import re
from dataclasses import dataclass, field


@dataclass
class Counts:
    calls: int = 0
    sum_ms: float = 0.0
    services: collections.Counter = field(default_factory=collections.Counter)
    buckets: collections.Counter = field(default_factory=collections.Counter)  # by `le` in ms, cumulative

    def add(self, tally):
        """A run's tally, as the loader prints it."""
        self.calls += tally["count"]
        self.sum_ms += tally["sum_us"] / 1000
        self.services.update(tally["services"])
        below = 0
        for bound, count in zip([*tally["bounds_ms"], float("inf")], tally["buckets"]):
            below += count
            self.buckets[bound] += below

    def unlike(self, expected):
        """What differs, as text; sums may differ by each span's rounding to a whole µs."""
        found = []
        if self.calls != expected.calls:
            found.append(f"{self.calls - expected.calls:+} of {expected.calls} spans")
        for name in ("services", "buckets"):
            ours, theirs = getattr(self, name), getattr(expected, name)
            wrong = [key for key in {*ours, *theirs} if ours[key] != theirs[key]]
            if wrong:
                found.append(f"{len(wrong)} of {len(theirs)} {name}, among them {wrong[0]}")
        if abs(self.sum_ms - expected.sum_ms) > 0.0005 * expected.calls + 1e-9 * expected.sum_ms:
            found.append(f"durations: {self.sum_ms} ms instead of {expected.sum_ms}")
        return ", ".join(found)


LINE = re.compile(r'^(\w+?)_(calls_total|duration_milliseconds_bucket|duration_milliseconds_sum)\{(.*)\} (\S+)')
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def of_exposition(lines):
    """A Prometheus page with span metrics as the Collector names them."""
    counts = Counts()
    for line in lines:
        match = LINE.match(line)
        if not match:
            continue
        _, what, labels, value = match.groups()
        labels, value = dict(LABEL.findall(labels)), float(value)
        if what == "calls_total":
            counts.calls += int(value)
            counts.services[labels["service_name"]] += int(value)
        elif what == "duration_milliseconds_sum":
            counts.sum_ms += value
        else:
            counts.buckets[float(labels["le"])] += int(value)
    return counts
