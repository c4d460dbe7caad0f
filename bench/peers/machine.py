"""What processes and the machine have used, by Linux's own count."""
import os
import platform
import re
import time
from dataclasses import dataclass

TICK = 1 / os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid):
    """Of the whole process, its ended threads too: utime + stime."""
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) * TICK


def status_mib(pid, field):
    """VmRSS: now; VmHWM: the most it ever was."""
    with open(f"/proc/{pid}/status") as status:
        return int(re.search(rf"^{field}:\s+(\d+) kB", status.read(), re.M).group(1)) / 1024


@dataclass
class Usage:
    """At one moment, in seconds since start-up."""

    at: float
    busy: float
    softirq: float
    of: dict  # CPU seconds by pid

    def since(self, before):
        of = {pid: used - before.of.get(pid, 0) for pid, used in self.of.items()}
        return Usage(self.at - before.at, self.busy - before.busy, self.softirq - before.softirq, of)


def usage(*pids):
    with open("/proc/stat") as stat:
        ticks = [int(field) for field in stat.readline().split()[1:]]
    user, nice, system, _idle, _iowait, irq, softirq = ticks[:7]  # stolen time is not this machine's work
    busy = (user + nice + system + irq + softirq) * TICK
    return Usage(time.monotonic(), busy, (irq + softirq) * TICK, {pid: cpu_seconds(pid) for pid in pids})


def busy_share(seconds):
    """The part of all processors that is in use now, before anything is measured."""
    before = usage()
    time.sleep(seconds)
    spent = usage().since(before)
    return spent.busy / spent.at / os.cpu_count()


def description():
    with open("/proc/cpuinfo") as info:
        model = re.search(r"^model name\s*: (.*)$", info.read(), re.M)
    with open("/proc/meminfo") as info:
        memory = int(re.search(r"^MemTotal:\s+(\d+) kB", info.read(), re.M).group(1)) / 1024 / 1024
    model = model.group(1) if model else platform.machine()
    return f"{os.cpu_count()} × {model}, {memory:.0f} GiB, Linux {platform.release()}"
