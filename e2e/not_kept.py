"""What an edge does not keep, it says: metrics and logs, and spans too late or from the future."""
import json
import time

import grpc_call
from lib import CALLS, Server, counters_rise, eventually, free_offset
from otlp import JSON, PROTOBUF, as_json, as_protobuf, logs_protobuf, metrics_protobuf, partial_success
from otlp import partial_success_bytes, post, spans

COUNTED = "refused|rejected|dropped"
YEAR_NS = 365 * 86_400 * 10**9
POINT = {"asInt": "1", "timeUnixNano": "1700000000000000000"}
SUM = {"name": "requests", "sum": {"dataPoints": [POINT] * 3, "aggregationTemporality": 2, "isMonotonic": True}}
RECORD = {"timeUnixNano": "1700000000000000000", "body": {"stringValue": "a line"}}


def walk(report, directory):
    with Server(directory, free_offset()) as server:
        server.start()
        cases = {
            "metrics": (
                json.dumps({"resourceMetrics": [{"scopeMetrics": [{"metrics": [SUM]}]}]}).encode(),
                metrics_protobuf(3),
                grpc_call.METRICS,
            ),
            "logs": (
                json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [RECORD] * 3}]}]}).encode(),
                logs_protobuf(3),
                grpc_call.LOGS,
            ),
        }
        for signal, (text, message, method) in cases.items():
            for body, content_type in ((text, JSON), (message, PROTOBUF)):
                with report.check(f"{signal} over HTTP, {content_type}: all rejected, with a reason, counted"):
                    with counters_rise(server, COUNTED, 3):
                        reply = post(server, body, content_type, path=f"/v1/{signal}")
                        assert reply.status == 200, reply
                        rejects(partial_success(reply, content_type), 3)
            with report.check(f"{signal} over gRPC: all rejected, with a reason, counted"):
                with counters_rise(server, COUNTED, 3):
                    answer = grpc_call.call(server, method, message)
                    assert answer["code"] == "OK", answer
                    rejects(partial_success_bytes(bytes.fromhex(answer["body"])), 3)

        for name, end_ns in (("late", time.time_ns() - 10 * YEAR_NS), ("future", time.time_ns() + 10 * YEAR_NS)):
            with report.check(f"spans ten years {name}: rejected, with a reason, counted; the others are kept"):
                with counters_rise(server, COUNTED, 4):
                    batch = spans(4, name, "gone", end_ns) + spans(2, name, "kept")
                    rejects(partial_success(post(server, as_json(batch)), JSON), 4)
                answer = eventually(15, lambda: server.query(f'{CALLS}{{service_name="{name}"}}') or None)
                kept = {dict(series)["span_name"]: value for series, value in answer.items()}
                assert kept == {"kept": 2}, kept
        with report.check("late spans over gRPC: rejected, with a reason"):
            answer = grpc_call.call(server, grpc_call.TRACES, as_protobuf(spans(4, "x", "x", time.time_ns() - 10 * YEAR_NS)))
            rejects(partial_success_bytes(bytes.fromhex(answer["body"])), 4)


def rejects(partial, expected):
    rejected, reason = partial
    assert rejected == expected and reason, f"{rejected} of {expected} rejected, reason {reason!r}"
