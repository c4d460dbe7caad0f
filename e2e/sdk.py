"""Runs inside the Python that has the OpenTelemetry SDK (tools.py).

    sdk.py spans http|grpc ENDPOINT HEADERS_JSON SERVICE NAME COUNT
    sdk.py call TARGET METHOD [gzip] < message      any gRPC method with any bytes; prints what came back as JSON
"""
import json
import sys
import time


def send_spans(protocol, endpoint, headers, service, name, count):
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    if protocol == "http":
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        exporter = OTLPSpanExporter(endpoint=endpoint, headers=json.loads(headers))
    else:
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

        exporter = OTLPSpanExporter(endpoint=endpoint, headers=json.loads(headers), insecure=True)
    provider = TracerProvider(resource=Resource.create({"service.name": service}))
    provider.add_span_processor(BatchSpanProcessor(exporter))
    tracer = provider.get_tracer("e2e")
    for _ in range(int(count)):
        with tracer.start_as_current_span(name):
            pass
    provider.shutdown()


def call(target, method, compression=None):
    import grpc

    message = sys.stdin.buffer.read()
    options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    with grpc.insecure_channel(target, options=options) as channel:
        grpc.channel_ready_future(channel).result(timeout=10)
        stub = channel.unary_unary(method, request_serializer=bytes, response_deserializer=bytes)
        began = time.monotonic()
        try:
            body = stub(message, timeout=20, compression=grpc.Compression.Gzip if compression else None)
            answer = {"code": "OK", "details": "", "body": body.hex()}
        except grpc.RpcError as refused:
            answer = {"code": refused.code().name, "details": refused.details(), "body": ""}
    print(json.dumps({**answer, "seconds": time.monotonic() - began}))


if __name__ == "__main__":
    {"spans": send_spans, "call": call}[sys.argv[1]](*sys.argv[2:])
