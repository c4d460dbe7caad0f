"""A gRPC call with any bytes, through the SDK's Python: the walk itself stays on the standard library."""
import json
import os
import subprocess

import tools
from lib import OTLP_GRPC

SDK = os.path.join(os.path.dirname(os.path.abspath(__file__)), "sdk.py")
EXPORT = "/opentelemetry.proto.collector.{0}.v1.{1}Service/Export"
TRACES, METRICS, LOGS = (EXPORT.format(*names) for names in (("trace", "Trace"), ("metrics", "Metrics"), ("logs", "Logs")))


def call(server, method, message, *flags):
    target = f"127.0.0.1:{server.port(OTLP_GRPC)}"
    done = subprocess.run([tools.sdk_python(), SDK, "call", target, method, *flags], input=message, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


def sdk_spans(*arguments):
    """The SDK logs what it could not export, and ends with 0 all the same: silence is the success."""
    done = subprocess.run([tools.sdk_python(), SDK, "spans", *map(str, arguments)], capture_output=True, timeout=60)
    assert done.returncode == 0 and not done.stderr, done.stderr.decode()
