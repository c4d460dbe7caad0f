"""Other people's tools, in the versions the walk was written for. They are kept in the cache folder, never in the tree."""
import glob
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile

OTEL_CLI = "0.4.5"
PACKAGES = [
    "opentelemetry-sdk==1.45.2",
    "opentelemetry-exporter-otlp-proto-http==1.45.2",
    "opentelemetry-exporter-otlp-proto-grpc==1.45.2",
]


def folder():
    at = os.path.join(os.environ["TRIBUTARY_CACHE"], "tools")
    os.makedirs(at, exist_ok=True)
    return at


def run(command, **options):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: exit {done.returncode}\n{done.stdout.decode(errors='replace')}")


def otel_cli():
    """`go install` refuses it because of its replace directives; as a dependency of an empty module it builds."""
    if os.environ.get("OTEL_CLI"):
        return os.environ["OTEL_CLI"]
    built = os.path.join(folder(), f"otel-cli-{OTEL_CLI}")
    if not os.path.exists(built):
        print(f"building otel-cli {OTEL_CLI}, once: one to three minutes", flush=True)
        package = "github.com/equinix-labs/otel-cli"
        with tempfile.TemporaryDirectory(dir=folder()) as module:
            with open(os.path.join(module, "go.mod"), "w") as text:
                text.write(f"module e2e\n\ngo 1.21\n\nrequire {package} v{OTEL_CLI}\n")
            run(["go", "build", "-o", "otel-cli", package], cwd=module, env={**os.environ, "GOFLAGS": "-mod=mod"})
            os.replace(os.path.join(module, "otel-cli"), built)
    return built


def promtool():
    return os.environ.get("PROMTOOL") or of_prometheus("promtool")


def prometheus():
    return os.environ.get("PROMETHEUS_BIN") or of_prometheus("prometheus")


def of_prometheus(name):
    """Debian's, unpacked rather than installed: the package would start a Prometheus."""
    unpacked = os.path.join(folder(), name)
    if not os.path.exists(unpacked):
        with tempfile.TemporaryDirectory(dir=folder()) as at:
            try:
                run(["apt-get", "download", "-q", "prometheus"], cwd=at)
            except RuntimeError:  # the package lists may be absent
                run(["apt-get", "update", "-q"])
                run(["apt-get", "download", "-q", "prometheus"], cwd=at)
            [package] = glob.glob(os.path.join(at, "*.deb"))
            run(["dpkg", "-x", package, os.path.join(at, "root")])
            for binary in ("promtool", "prometheus"):
                os.replace(os.path.join(at, "root", "usr", "bin", binary), os.path.join(folder(), binary))
    return unpacked


def sdk_python():
    """A Python that has the OpenTelemetry SDK."""
    interpreter = os.path.realpath(sys.executable)
    key = hashlib.sha256("\n".join([*PACKAGES, interpreter, sys.version]).encode()).hexdigest()[:12]
    venv = os.path.join(folder(), f"venv-{key}")
    python = os.path.join(venv, "bin", "python")
    if not os.path.exists(os.path.join(venv, "ready")):
        print("installing the OpenTelemetry Python SDK, once: half a minute", flush=True)
        shutil.rmtree(venv, ignore_errors=True)
        run([interpreter, "-m", "venv", venv])
        run([python, "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check", *PACKAGES])
        open(os.path.join(venv, "ready"), "w").close()
    return python


def shell_environment():
    """For commands as the guide prints them: they say `otel-cli`, wherever it lies."""
    commands = os.path.join(folder(), "bin")
    os.makedirs(commands, exist_ok=True)
    link = os.path.join(commands, "otel-cli")
    if not os.path.islink(link) or os.readlink(link) != os.path.abspath(otel_cli()):
        if os.path.lexists(link):
            os.remove(link)
        os.symlink(os.path.abspath(otel_cli()), link)
    clean = {name: value for name, value in os.environ.items() if not re.match(r"OTEL_|TRACEPARENT", name)}
    return {**clean, "PATH": commands + os.pathsep + os.environ["PATH"]}
