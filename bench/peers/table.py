"""Results as Markdown."""
import rounds


def table(scenario, results):
    return "\n".join(of_load(scenario, results) if scenario.load else of_idle(scenario, results))


def of_load(scenario, results):
    yield f"### {scenario.name}: {scenario.what}\n"
    yield ("| | CPU-s per M spans | of it while loaded | rest of the machine, per M | M spans/s | ack p50, p99 ms "
           "| peak RSS MiB | each round | spans counted |")
    yield "|---|---|---|---|---|---|---|---|---|"
    for r in results:
        counted = f"{r.expected.calls:,}, all" if not r.wrong else f"**wrong: {r.wrong}**"
        each = " ".join(f"{one.cpu / one.spans * 1e6:.3f}" for one in r.rounds)
        retries = sum(one.retries for one in r.rounds)
        yield " | ".join([
            f"| {r.side}",
            f"{r.cpu_per_million:.3f}",
            f"{r.median(lambda o: o.cpu_load / o.spans * 1e6):.3f}",
            f"{r.median(lambda o: o.rest / o.spans * 1e6):.3f}",
            f"{r.median(lambda o: o.rate / 1e6):.3f}",
            f"{r.median(lambda o: o.p50):.1f}, {r.median(lambda o: o.p99):.1f}",
            f"{r.peak_mib:.0f}",
            each,
            counted + (f"; {retries} retries |" if retries else " |"),
        ])
    ours, theirs = results
    yield " | ".join([
        f"| {theirs.side} ÷ {ours.side}",
        f"**{theirs.cpu_per_million / ours.cpu_per_million:.1f}**",
        ratio(theirs.median(lambda o: o.cpu_load / o.spans), ours.median(lambda o: o.cpu_load / o.spans)),
        "",
        ratio(theirs.median(lambda o: o.rate), ours.median(lambda o: o.rate)),
        "",
        ratio(theirs.peak_mib, ours.peak_mib),
        "",
        "|",
    ])
    if ours.rounds and all(r.syncs for r in ours.rounds):
        p50, p99 = (ours.median(lambda o, q=q: rounds.quantile_ms(o.syncs, q)) for q in (0.5, 0.99))
        yield f"\n{ours.side}'s journal, a batch appended and synced: p50 {p50:.1f} ms, p99 {p99:.1f} ms; " \
              f"an ack takes {ours.median(lambda o: o.p50) / p50:.1f} and {ours.median(lambda o: o.p99) / p99:.1f} times that."
    yield f"\nThe loader: {ours.median(lambda o: o.loader_cpu / o.spans * 1e6):.2f} CPU-s per million to {ours.side}, " \
          f"{theirs.median(lambda o: o.loader_cpu / o.spans * 1e6):.2f} to {theirs.side}.\n"


def of_idle(scenario, results):
    yield f"### {scenario.name}: {scenario.what}\n"
    yield "| | CPU, % of one processor | RSS MiB | peak RSS MiB |"
    yield "|---|---|---|---|"
    for r in results:
        yield f"| {r.side} | {r.idle_cpu:.2f} | {r.rss_mib:.0f} | {r.peak_mib:.0f} |"
    yield ""


def ratio(theirs, ours):
    return f"{theirs / ours:.1f}" if ours > 0 else "–"
