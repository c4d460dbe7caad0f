"""The exporters, in the versions that the run was written for. They are kept in the cache folder, never in the tree."""
import hashlib
import json
import os
import re
import shutil
import subprocess

import sides  # of the side-by-side run: it builds a Collector by a recipe
import tools  # of the end-to-end walk

HERE = os.path.dirname(os.path.abspath(__file__))
JAVASCRIPT = {
    "@opentelemetry/api": "1.9.0",
    "@opentelemetry/resources": "2.12.0",
    "@opentelemetry/sdk-trace-node": "2.12.0",
    "@opentelemetry/exporter-trace-otlp-grpc": "0.223.1",
    "@opentelemetry/exporter-trace-otlp-http": "0.223.1",
    "@opentelemetry/exporter-trace-otlp-proto": "0.223.1",
}


def python():
    """(version, interpreter)"""
    [version] = {package.split("==")[1] for package in tools.PACKAGES}
    return version, tools.sdk_python()


def javascript():
    """(version, folder of modules)"""
    key = hashlib.sha256(json.dumps(JAVASCRIPT).encode()).hexdigest()[:12]
    folder = os.path.join(tools.folder(), f"node-{key}")
    if not os.path.exists(os.path.join(folder, "ready")):
        print("installing the OpenTelemetry JavaScript SDK, once: a minute", flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
        with open(os.path.join(folder, "package.json"), "w") as text:
            json.dump({"private": True, "dependencies": JAVASCRIPT}, text)
        tools.run(["npm", "install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts"], cwd=folder)
        open(os.path.join(folder, "ready"), "w").close()
    return JAVASCRIPT["@opentelemetry/exporter-trace-otlp-grpc"], os.path.join(folder, "node_modules")


def collector():
    """(version, binary)"""
    binary = sides.collector_binary(os.path.join(HERE, "otelcol-builder.yaml"))
    components = subprocess.run([binary, "components"], capture_output=True, text=True).stdout
    found = re.search(r"otlpexporter v([0-9.]+)", components)
    if not found or "otlphttpexporter" not in components:
        raise RuntimeError(f"{binary} has not both of the exporters otlp and otlphttp")
    return found.group(1), binary


def environment():
    """What configures an SDK from outside is left out: defaults are what is run."""
    clean = {name: value for name, value in os.environ.items() if not re.match(r"OTEL_|NODE_OPTIONS", name)}
    return {**clean, "NODE_PATH": javascript()[1]}
