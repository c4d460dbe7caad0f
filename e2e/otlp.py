"""OTLP as bytes, written apart from the product and from any SDK: what is sent is known to the last field."""
import json
import struct
import time
from dataclasses import dataclass

from lib import OTLP_HTTP, http_request

KINDS = ("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
JSON, PROTOBUF = "application/json", "application/x-protobuf"
ids = iter(range(1, 1 << 62))


@dataclass
class Span:
    service: str
    name: str
    end_ns: int
    duration_ns: int = 5_000_000
    kind: int = 2  # SERVER
    status: int = 0  # 1 OK, 2 ERROR


def spans(count, service, name, end_ns=None, **rest):
    end_ns = end_ns or time.time_ns()
    return [Span(service, name, end_ns, **rest) for _ in range(count)]


def by_service(batch):
    services = {}
    for span in batch:
        services.setdefault(span.service, []).append(span)
    return services.items()


def as_json(batch):
    def one(span):
        n = next(ids)
        return {
            "traceId": f"{n:032x}", "spanId": f"{n:016x}", "name": span.name, "kind": span.kind,
            "startTimeUnixNano": str(span.end_ns - span.duration_ns), "endTimeUnixNano": str(span.end_ns),
            "status": {"code": span.status},
        }  # fmt: skip

    return json.dumps({
        "resourceSpans": [{
            "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": service}}]},
            "scopeSpans": [{"scope": {"name": "e2e"}, "spans": [one(s) for s in batch]}],
        } for service, batch in by_service(batch)]
    }).encode()  # fmt: skip


def as_protobuf(batch):
    def one(span):
        n = next(ids)
        return (
            field(1, n.to_bytes(16, "big")) + field(2, n.to_bytes(8, "big")) + field(5, span.name)
            + number(6, span.kind) + fixed64(7, span.end_ns - span.duration_ns) + fixed64(8, span.end_ns)
            + field(15, number(3, span.status))
        )  # fmt: skip

    return b"".join(
        field(1, resource(service) + field(2, field(1, field(1, "e2e")) + b"".join(field(2, one(s)) for s in batch)))
        for service, batch in by_service(batch)
    )


def metrics_protobuf(points):
    point = fixed64(3, time.time_ns()) + fixed64(6, 1)
    total = b"".join(field(1, point) for _ in range(points)) + number(2, 2) + number(3, 1)
    return field(1, resource("e2e") + field(2, field(2, field(1, "requests") + field(7, total))))


def logs_protobuf(records):
    record = fixed64(1, time.time_ns()) + field(5, field(1, "a line"))
    return field(1, resource("e2e") + field(2, b"".join(field(2, record) for _ in range(records))))


def resource(service):
    return field(1, field(1, field(1, "service.name") + field(2, field(1, service))))


# The wire format: https://protobuf.dev/programming-guides/encoding/


def varint(n):
    out = bytearray()
    while n > 0x7F:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    return bytes(out) + bytes([n])


def number(tag, n):
    return varint(tag << 3) + varint(n)


def fixed64(tag, n):
    return varint(tag << 3 | 1) + struct.pack("<Q", n)


def field(tag, content):
    content = content.encode() if isinstance(content, str) else content
    return varint(tag << 3 | 2) + varint(len(content)) + content


def decode(message):
    """{tag: last value} of a message without fixed fields, as the answers are."""
    found, at = {}, 0

    def read():
        nonlocal at
        n = shift = 0
        while True:
            byte = message[at]
            at += 1
            n |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return n

    while at < len(message):
        key = read()
        if key & 7 == 0:
            found[key >> 3] = read()
        elif key & 7 == 2:
            size = read()
            assert at + size <= len(message), "a length beyond the message's end"
            found[key >> 3] = message[at : at + size]
            at += size
        else:
            raise AssertionError(f"unexpected wire type {key & 7}")
    return found


def partial_success(reply, content_type):
    """(how many were rejected, why) of an answer in the request's own encoding."""
    if content_type == JSON:
        partial = reply.json().get("partialSuccess") or {}
        rejected = [int(n) for key, n in partial.items() if key.startswith("rejected")]
        return sum(rejected), partial.get("errorMessage", "")
    return partial_success_bytes(reply.body)


def partial_success_bytes(body):
    partial = decode(decode(body).get(1, b""))
    return partial.get(1, 0), partial.get(2, b"").decode()


def post(server, body, content_type=JSON, path="/v1/traces", **headers):
    return http_request(server.port(OTLP_HTTP), "POST", path, body, {"Content-Type": content_type, **headers})


def send(server, batch, content_type=JSON):
    """Sends and expects that all of it is taken."""
    reply = post(server, as_json(batch) if content_type == JSON else as_protobuf(batch), content_type)
    assert reply.status == 200, f"spans were not taken: {reply}"
    assert partial_success(reply, content_type) == (0, ""), f"spans were rejected: {reply}"
