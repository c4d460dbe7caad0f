"""A program with the OpenTelemetry SDK for Python, as somebody would write it: runs inside the venv of e2e/tools.py.

    sdk.py grpc|http ENDPOINT SERVICE SPANS_PER_SECOND [gzip]

Sends until standard input closes. Says on standard output, a JSON line each:

    {"batch": 1, "spans": [[name, status, end_ns, duration_ns], ...]}     before the exporter gets it
    {"batch": 1, "acked": true}                                           what the exporter said of it
    {"ended": 12345}                                                      at the end: spans the SDK was given

The exporter and the processor have their defaults; the exporter is only looked at from outside.
"""
import json
import random
import sys
import threading
import time

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import SpanKind, Status, StatusCode

GROUPS = 60
TICK_SECONDS = 0.02
QUEUED_AT_MOST = 1500  # the processor drops what is beyond 2048


class Watched(SpanExporter):
    """Passes on, and writes down what was passed on and how it ended."""

    def __init__(self, exporter):
        self.exporter, self.taken, self.batches = exporter, 0, 0
        self.room = threading.Condition()

    def export(self, spans):
        self.batches += 1
        batch = self.batches
        say({"batch": batch, "spans": [written(span) for span in spans]})
        with self.room:
            self.taken += len(spans)
            self.room.notify_all()
        result = self.exporter.export(spans)
        say({"batch": batch, "acked": result is SpanExportResult.SUCCESS})
        return result

    def shutdown(self):
        self.exporter.shutdown()

    def force_flush(self, timeout_millis=30000):
        return self.exporter.force_flush(timeout_millis)


def written(span):
    return [span.name, span.status.status_code.value, span.end_time, span.end_time - span.start_time]


def say(line):
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def exporter_of(protocol, endpoint, compression):
    if protocol == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

        return OTLPSpanExporter(endpoint=endpoint)
    from opentelemetry.exporter.otlp.proto.http import Compression
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return OTLPSpanExporter(endpoint=endpoint, **({"compression": Compression.Gzip} if compression else {}))


def one_span(tracer, draw, number):
    group = draw.randrange(GROUPS)
    end = time.time_ns()
    span = tracer.start_span(
        f"op-{group}",
        kind=SpanKind.SERVER if group % 3 else SpanKind.CLIENT,
        start_time=end - int(10 ** draw.uniform(2, 10.4)),  # 100 ns to 25 s
        attributes={"http.route": f"/op/{group}", "user": f"user-{draw.randrange(10**6)}", "number": number,
                    "share": draw.random(), "cached": number % 2 == 0},
    )  # fmt: skip
    if draw.random() < 0.1:
        span.set_status(Status(StatusCode.ERROR, "so it was drawn"))
    span.end(end)


def main(protocol, endpoint, service, rate, compression=None):
    watched = Watched(exporter_of(protocol, endpoint, compression))
    provider = TracerProvider(resource=Resource.create({"service.name": service}))
    provider.add_span_processor(BatchSpanProcessor(watched))
    tracer, draw = provider.get_tracer("clients"), random.Random(service)
    stop = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()

    ended, began = 0, time.monotonic()
    while not stop.wait(TICK_SECONDS):
        with watched.room:
            watched.room.wait_for(lambda: ended - watched.taken < QUEUED_AT_MOST)
        behind = int((time.monotonic() - began) * float(rate)) - ended
        began += max(0, behind - 200) / float(rate)  # what an outage kept back is not made up for
        for _ in range(min(behind, 200)):
            one_span(tracer, draw, ended)
            ended += 1
    provider.force_flush()
    provider.shutdown()
    say({"ended": ended})


if __name__ == "__main__":
    main(*sys.argv[1:])
