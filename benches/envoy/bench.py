#!/usr/bin/env python3
"""Portcullis in a real Envoy, next to its alternatives. See `bench.py --help`.

Writes benches/RESULTS.md and benches/results.svg. Exits 0 if everything could be measured, even if a bar was not reached.
"""

import argparse
import datetime
import hashlib
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import enable_abs
import feeds
import refresh
import report
from cpu import CpuBench, ratio, ratio_of_more
from processes import REPOSITORY, BenchError, envoy_binary
from report import Bar

RESULTS = REPOSITORY / "benches/RESULTS.md"
# Explains the bars that are not reached; written by hand.
BOUNDS = Path(__file__).parent / "bounds.md"
PICTURE = REPOSITORY / "benches/results.svg"
MODULE = REPOSITORY / "target/portcullis.wasm"
PARTS = ("cpu", "latency", "queues", "memory", "hold", "enforcement", "fetches", "feeds", "size")
# Copies of a batch in flight in addition to its records: its body in the VM and in Envoy.
BATCH_COPIES = 2
# The refresh interval while refreshes are measured, seconds.
REFRESH_SECONDS = 4


@dataclass(frozen=True)
class Plan:
    """How much is measured."""
    rounds: int
    passes: int
    seconds: int
    sizes: tuple
    lua_entries: int
    rbac_entries: int
    trie_entries: int
    refreshes: int
    hold_seconds: int
    enforcements: int
    intervals: int
    latency_rounds: int
    latency_seconds: int
    queue_rounds: int
    queue_seconds: int


FULL = Plan(rounds=5, passes=5, seconds=1, sizes=(1_000, 100_000, 1_000_000), lua_entries=100_000,
            rbac_entries=10_000, trie_entries=100_000, refreshes=20, hold_seconds=60, enforcements=5, intervals=10,
            latency_rounds=7, latency_seconds=10, queue_rounds=3, queue_seconds=10)
# Everything runs, nothing is worth a conclusion.
QUICK = Plan(rounds=1, passes=1, seconds=1, sizes=(1_000, 10_000), lua_entries=10_000, rbac_entries=1_000,
             trie_entries=10_000, refreshes=2, hold_seconds=8, enforcements=1, intervals=3,
             latency_rounds=2, latency_seconds=2, queue_rounds=1, queue_seconds=4)


def main():
    arguments = parse_arguments()
    load = os.getloadavg()[0]
    plan = QUICK if arguments.quick else FULL
    if arguments.rounds:
        plan = Plan(**{**plan.__dict__, "rounds": arguments.rounds})
    module = None if arguments.without_portcullis else need_module()
    parts = [part for part in PARTS if part in arguments.parts.split(",")]
    sections, bars, took = [], [], {}
    subject = identity()
    with tempfile.TemporaryDirectory(prefix="portcullis-bench-") as directory:
        directory = Path(directory)
        if module:
            # A build while this runs must not change what is measured.
            module = Path(shutil.copy(module, directory))
        if "cpu" in parts:
            start = time.monotonic()
            bench = CpuBench(directory, plan, module, empty_filter(), re.compile(arguments.contenders)).run()
            sections.append(cpu_section(bench, plan))
            bars += cpu_bars(bench, plan)
            took["cpu"] = time.monotonic() - start
            if arguments.write:
                report.chart(bench, PICTURE)
        if module:
            for part in parts:
                if part != "cpu":
                    print(f"measuring: {part}", flush=True)
                    start = time.monotonic()
                    text, more = OTHER_PARTS[part](directory, module, plan)
                    took[part] = time.monotonic() - start
                    sections.append(text)
                    bars += more
    text = whole(sections, bars, plan, load, subject, took)
    print("\n" + text)
    if arguments.write:
        RESULTS.write_text(text.rstrip("\n") + "\n" + BOUNDS.read_text())
        print(f"written: {RESULTS}", flush=True)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true",
                        help="a smoke run of every part with small lists; writes nothing")
    parser.add_argument("--rounds", type=int, help="rounds of the CPU part, each with a fresh Envoy")
    parser.add_argument("--parts", default=",".join(PARTS), help="which parts, by commas (default: %(default)s)")
    parser.add_argument("--contenders", default="", metavar="REGEX", help="only these contenders, and no filter")
    parser.add_argument("--without-portcullis", action="store_true", help="only the other contenders")
    arguments = parser.parse_args()
    unknown = set(arguments.parts.split(",")) - set(PARTS)
    if unknown:
        parser.error(f"--parts: unknown {', '.join(sorted(unknown))}; known are {', '.join(PARTS)}")
    # Half a measurement never replaces a whole one.
    arguments.write = not (arguments.quick or arguments.contenders or arguments.without_portcullis
                           or arguments.parts != ",".join(PARTS))
    return arguments


def identity():
    """The revision that is measured, and its modules."""
    def git(*arguments):
        done = subprocess.run(["git", *arguments], cwd=REPOSITORY, capture_output=True, text=True, check=False)
        return done.stdout.strip()

    revision = git("rev-parse", "--short=12", "HEAD") or "unknown"
    # What this program writes is no change of what it measures.
    if git("status", "--porcelain", "--", ".", ":!benches/RESULTS.md", ":!benches/results.svg"):
        revision += " with changes"
    if not MODULE.is_file():
        return f"revision {revision}"
    digest = hashlib.sha256(MODULE.read_bytes()).hexdigest()[:12]
    return f"revision {revision}; {MODULE.name} {MODULE.stat().st_size:,} bytes (SHA-256 {digest})"


def need_module():
    if not MODULE.is_file():
        raise BenchError(f"the module is not at {MODULE}: run `make build`")
    return MODULE


def empty_filter():
    """Builds the empty filter and returns its path."""
    subprocess.run(["cargo", "build", "--quiet", "--release", "--target", "wasm32-wasip1", "-p", "empty-filter"],
                   cwd=REPOSITORY, check=True)
    target = Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target"))
    return target / "wasm32-wasip1/release/empty_filter.wasm"


def cpu_section(bench, plan):
    text = ["## CPU a request", "", report.table(report.CPU_HEAD, report.cpu_rows(bench)), ""]
    authz = bench.samples.get("ext_authz")
    if authz:
        text.append(f"ext_authz costs {statistics.median(authz.service):.1f} µs a request more in the service.")
    text.append(
        f"{plan.rounds} rounds, each with a fresh Envoy; {plan.passes} passes a round over all contenders in random "
        f"order, {plan.seconds} s each. {bench.repeated} slices were repeated because other programs took more than 6 % of "
        f"Envoy's core; {bench.noisy} remained so.")
    sending = [bench.samples[row.key] for row in bench.rows if row.sends]
    if sending:
        text.append(f"With enable_abs on, {sum(one.sent for one in sending):,} records reached the sink and "
                    f"{sum(one.lost for one in sending):,} were lost; a slice that lost one was repeated.")
    return "\n".join(text)


def cpu_bars(bench, plan):
    bars, samples = [], bench.samples
    large, small = plan.sizes[-1], plan.sizes[0]
    hundred_thousand = plan.lua_entries

    def add(what, over, under, limit, how="ratio of the CPU added to no filter"):
        if over in samples and under in samples:
            value, low, high = ratio(samples[over], samples[under])
            bars.append(Bar(what, value, limit, note=f"{how}; 95 % interval {low:.3g} to {high:.3g}"))

    size = f"{large:,}"
    add(f"{size} addresses, clean, to the empty filter", f"ours-ips-{large}", "empty", 1.2)
    add(f"{size} of all kinds, clean, to the empty filter", f"ours-mixed-{large}", "empty", 1.8)
    add(f"{size} addresses to {small:,}", f"ours-ips-{large}", f"ours-ips-{small}", 1.1)
    add(f"{size} of all kinds to {small:,}", f"ours-mixed-{large}", f"ours-mixed-{small}", 1.1)
    add(f"{hundred_thousand:,} addresses to Lua with as many", f"ours-ips-{hundred_thousand}", "lua-ips", 0.6)
    add(f"{hundred_thousand:,} of all kinds to Lua with as many", f"ours-mixed-{hundred_thousand}", "lua-mixed", 0.6)
    add(f"{size} addresses to RBAC with {plan.rbac_entries:,} principals", f"ours-ips-{large}", "rbac-list", 0.04)
    for kinds, words in (("ips", "addresses"), ("mixed", "of all kinds")):
        off, on = samples.get(f"ours-{kinds}-{large}"), samples.get(f"abs-{kinds}")
        if off and on:
            value, low, high = ratio_of_more(on, off)
            bars.append(Bar(
                f"enable_abs on, {size} {words}: what it adds, to the filter's overhead with it off", value, 2.5,
                note=f"(on - off) / (off - no filter); 95 % interval {low:.3g} to {high:.3g}; the alternative reading, "
                     f"(on - no filter) / (off - no filter), is {ratio(on, off)[0]:.2f}"))
    for kinds, words in (("ips", "addresses"), ("mixed", "of all kinds")):
        add(f"{size} {words}, all blocked, to ext_authz that allows", f"ours-{kinds}-{large}-blocked", "ext_authz", 0.2)
    return bars


def latency_part(directory, module, plan):
    large = plan.sizes[-1]
    off, on, workers = enable_abs.latency(directory, module, large, plan.latency_rounds, plan.latency_seconds)
    noise = max(off.p99) - min(off.p99)
    added = statistics.median(on.p99) - statistics.median(off.p99)
    rows = [[name, one.requests, *(f"{statistics.median(values):.0f} ({min(values):.0f} to {max(values):.0f})"
                                   for values in (one.p50, one.p99, one.p999))]
            for name, one in (("off", off), ("on", on))]
    head = ["enable_abs", "requests", "p50, µs", "p99, µs", "p99.9, µs"]
    text = ["## Latency with enable_abs on", "", report.table(head, rows), "",
            f"{enable_abs.RATE:,} requests a second over {enable_abs.CONNECTIONS} connections to {workers} workers, "
            f"{large:,} entries of all kinds; medians of {plan.latency_rounds} rounds of {plan.latency_seconds} s, "
            "minimum and maximum in brackets. A latency counts from when the request was due (oha with "
            "`--latency-correction`)."]
    return "\n".join(text), [
        Bar("p99 with enable_abs on over p99 with it off", added, round(noise), "µs",
            "medians of the rounds; the bar is the noise: the spread of p99 between the rounds with it off")]


def queues_part(directory, module, plan):
    mib, runs = refresh.MIB, {}
    for _ in range(plan.queue_rounds):
        for name in enable_abs.SINKS:
            run = enable_abs.queues(directory, module, name, plan.queue_seconds)
            runs.setdefault(name, []).append(run)
            print(f"{name}: {run.resident / mib:.1f} MB resident", flush=True)
    resident = {name: [run.resident / mib for run in those] for name, those in runs.items()}
    noise = max(resident["off"]) - min(resident["off"])
    workers = refresh.WORKERS
    limit = workers * (enable_abs.QUEUE_MEMORY + BATCH_COPIES * enable_abs.BATCH_BYTES) / mib + noise
    words = {"off": "enable_abs off", "responding": "on, ABS responds", "deaf": "on, ABS accepts calls and never responds"}
    rows, bars = [], []
    for name, those in runs.items():
        rows.append([words[name], f"{statistics.median(run.requests for run in those):,.0f}",
                     *(f"{statistics.median(getattr(run, field) for run in those):,.0f}" if name != "off" else ""
                       for field in ("sent", "lost")), ", ".join(f"{value:.1f}" for value in resident[name])])
        if name != "off":
            growth = statistics.median(resident[name]) - statistics.median(resident["off"])
            bars.append(Bar(f"resident with enable_abs {words[name]}, over it off", growth, round(limit, 2), "MB",
                            f"{workers} workers x ({enable_abs.QUEUE_MEMORY / mib:g} MB queue_memory + {BATCH_COPIES} x "
                            f"{enable_abs.BATCH_BYTES / mib:g} MB batch) + noise of {noise:.2f} MB"))
    head = ["", "requests", "records sent", "records lost", "resident, MB, each run"]
    text = ["## Memory with enable_abs on", "", report.table(head, rows), "",
            f"A fresh Envoy each run, {workers} workers, {plan.queue_seconds} s at full speed, resident at the end. "
            f"traffic.queue_memory includes the records of a batch in flight; its body is in memory {BATCH_COPIES} times "
            "more, in the VM and in Envoy."]
    return "\n".join(text), bars


def memory_part(directory, module, plan):
    large, mib = plan.sizes[-1], refresh.MIB
    empty = refresh.memory(directory, module, refresh.WORKERS, 0)
    full = refresh.memory(directory, module, refresh.WORKERS, large, plan.refreshes, REFRESH_SECONDS)
    empty_many = refresh.memory(directory, module, refresh.MANY_WORKERS, 0)
    full_many = refresh.memory(directory, module, refresh.MANY_WORKERS, large)
    further = refresh.MANY_WORKERS - refresh.WORKERS
    growth = (full_many.first - full.first) / further / mib
    growth_empty = (empty_many.first - empty.first) / further / mib
    over = [(value - empty.first) / mib for value in full.after]
    half = len(over) // 2
    rows = [
        ["empty list", refresh.WORKERS, f"{empty.first / mib:.1f} MB"],
        [f"{large:,} of all kinds, first load", refresh.WORKERS, f"{full.first / mib:.1f} MB"],
        *[[f"{large:,} of all kinds, after {n} refreshes, each another list", refresh.WORKERS,
           f"{full.after[n - 1] / mib:.1f} MB"] for n in sorted({1, half, len(over)}) if n],
        ["the same, peak while a response arrives", refresh.WORKERS, f"{full.peak / mib:.1f} MB"],
        ["empty list", refresh.MANY_WORKERS, f"{empty_many.first / mib:.1f} MB"],
        [f"{large:,} of all kinds, first load", refresh.MANY_WORKERS, f"{full_many.first / mib:.1f} MB"],
    ]
    text = ["## Resident memory of Envoy", "", report.table(["list", "workers", "resident"], rows), "",
            "Over the empty list after each refresh, MB: " + ", ".join(f"{value:.1f}" for value in over) + "."]
    bars = [
        Bar("resident over an empty list, first load", (full.first - empty.first) / mib, 64, "MB",
            f"{large:,} of all kinds, {refresh.WORKERS} workers"),
        Bar(f"the same after {len(over)} refreshes", over[-1], 96, "MB", "an unrelated list each time"),
        Bar("highest of the second half of the refreshes over highest of the first",
            max(over[half:]) - max(over[:half]), 2, "MB", "flat: no growth from refresh to refresh"),
        Bar("growth a further worker", growth - growth_empty, 3, "MB",
            f"{refresh.WORKERS} to {refresh.MANY_WORKERS} workers, minus a worker with an empty list, "
            f"{growth_empty:.2f} MB"),
    ]
    return "\n".join(text), bars


def hold_part(directory, module, plan):
    large = plan.sizes[-1]
    calm = refresh.hold(directory, module, large, plan.hold_seconds, 86_400)
    busy = refresh.hold(directory, module, large, plan.hold_seconds, REFRESH_SECONDS)
    rows = [[name, one.refreshes, one.requests, one.p50_us, one.p99_us, one.p999_us, one.max_us,
             f"≤ {one.longest_turn_us:,}"] for name, one in (("without refreshes", calm), ("with refreshes", busy))]
    head = ["steady traffic", "refreshes", "requests", "p50, µs", "p99, µs", "p99.9, µs", "max, µs",
            "longest iteration of a worker's loop, µs"]
    text = ["## Latency while the list is refreshed", "", report.table(head, rows), "",
            f"{large:,} entries of all kinds, two workers, eight connections that each pause 1 ms. The longest "
            "iteration is from Envoy's `loop_duration_us` of the workers: the upper bound of its bucket."]
    return "\n".join(text), [
        Bar("longest iteration of a worker's loop during refreshes", busy.longest_turn_us / 1000, 5, "ms",
            f"{busy.refreshes} refreshes of {large:,}; without refreshes ≤ {calm.longest_turn_us / 1000:g} ms")]


def enforcement_part(directory, module, plan):
    large = plan.sizes[-1]
    rows, bars = [], []
    for kinds, words in (("ips", "addresses"), ("mixed", "of all kinds")):
        times = refresh.time_to_enforcement(directory, module, large, kinds, plan.enforcements, REFRESH_SECONDS)
        rows.append([f"{large:,} {words}", ", ".join(f"{value:.2f}" for value in times)])
        bars.append(Bar(f"fetch to enforced on all workers, {large:,} {words}", max(times), 2, "s",
                        f"slowest of {len(times)}, {refresh.WORKERS} workers"))
    text = ["## From the fetch to enforcement", "", report.table(["list", "seconds"], rows), "",
            "From the time the fetch reaches ABS (so including ABS's response time) until every connection of every "
            "worker is denied by an entry that only the new list has."]
    return "\n".join(text), bars


def fetches_part(directory, module, plan):
    rows, bars = [], []
    for concurrency in (1, 4, 16):
        moments = refresh.fetches_an_interval(directory, module, concurrency, plan.intervals, 2)
        gaps = [later - earlier for earlier, later in zip(moments, moments[1:], strict=False)]
        rows.append([concurrency, plan.intervals, len(moments), f"{min(gaps, default=0):.2f} s"])
        bars.append(Bar(f"fetches an interval, {concurrency} workers", round(len(moments) / plan.intervals), 1,
                        exact=True, note=f"{len(moments)} fetches in {plan.intervals} intervals of 2 s, at least "
                                         f"{min(gaps, default=0):.2f} s apart"))
    return "\n".join(["## Fetches", "", report.table(
        ["workers", "intervals of 2 s", "fetches", "shortest gap"], rows)]), bars


def size_part(_directory, module, _plan):
    size = module.stat().st_size
    text = f"## The module\n\n`target/{MODULE.name}` has {size:,} bytes."
    return text, [Bar(MODULE.name, size / 1024, 512, "KB", f"{size:,} bytes")]


def feeds_part(directory, module, plan):
    large, mib = plan.sizes[-1], refresh.MIB
    each, held = large // feeds.FEEDS, plan.sizes[1]
    samples = feeds.cpu(directory, module, large, held, plan.rounds, plan.passes, plan.seconds)
    several, low, high = ratio(samples["several"], samples["one"])
    to_authz, authz_low, authz_high = ratio(samples["crowdsec"], samples["ext_authz"])
    empty, first, after = feeds.memory(directory, module, each, plan.refreshes, REFRESH_SECONDS)
    fetches, entries, turns = feeds.decisions(directory, module, held, plan.hold_seconds // 2, REFRESH_SECONDS)
    over = [(value - empty) / mib for value in after]
    half = len(over) // 2
    words = {"one": f"one feed of {large:,} entries of all kinds", "several": f"{feeds.FEEDS} feeds of {each:,} each",
             "crowdsec": f"CrowdSec's {held:,} decisions", "ext_authz": "ext_authz, HTTP, that allows"}
    rows = [[words[key], f"{statistics.median(one.added):.2f}"] for key, one in samples.items()]
    text = ["## Feeds", "", report.table(["clean request", "CPU added in the proxy, µs"], rows), "",
            f"Resident over empty lists with {feeds.FEEDS} feeds, {refresh.WORKERS} workers, after each refresh, MB: "
            + ", ".join(f"{value:.1f}" for value in over) + ".",
            f"CrowdSec's decisions, {entries:,} entries, fetched {fetches} times: the longest turn of the main thread's "
            f"event loop was at most {turns['main'] / 1000:g} ms, that of a worker {turns['worker'] / 1000:g} ms (bounds of "
            "Envoy's histogram)."]
    interval = "95 % interval {:.3g} to {:.3g}"
    return "\n".join(text), [
        Bar(f"{feeds.FEEDS} feeds of {each:,}, clean, to one of {large:,}", several, 1.25, note=interval.format(low, high)),
        Bar(f"CrowdSec's {held:,} decisions, clean, to ext_authz that allows, CPU in the proxy", to_authz, 0.25,
            note=interval.format(authz_low, authz_high)),
        Bar(f"resident over empty lists, {feeds.FEEDS} feeds of {each:,}, first load", (first - empty) / mib, 64, "MB"),
        Bar("highest of the second half of the refreshes over highest of the first, feeds",
            max(over[half:]) - max(over[:half]), 2, "MB", "flat: no growth from refresh to refresh"),
        Bar(f"main thread held by {held:,} decisions", turns["main"] / 1000, 150, "ms", "bound of Envoy's histogram"),
        Bar(f"worker held by {held:,} decisions", turns["worker"] / 1000, 5, "ms", "bound of Envoy's histogram"),
    ]


OTHER_PARTS = {"latency": latency_part, "queues": queues_part, "memory": memory_part, "hold": hold_part,
               "enforcement": enforcement_part, "fetches": fetches_part, "feeds": feeds_part, "size": size_part}


def whole(sections, bars, plan, load, subject, took):
    version = subprocess.run([str(envoy_binary()), "--version"], capture_output=True, text=True, check=True).stdout
    version = re.search(r"/(\d+\.\d+\.\d+)/", version)
    lines = ["# Results of `make bench`", "",
             f"{datetime.date.today()}; {report.machine()}; Envoy {version[1] if version else 'of unknown version'}; load "
             f"average before the run {load:.1f} (other programs).",
             f"Measured: {subject}.",
             f"Took {sum(took.values()) / 60:.0f} min: " + ", ".join(
                 f"{part} {seconds / 60:.1f}" for part, seconds in took.items()) + ".",
             "Written by `benches/envoy/bench.py`; [benches/envoy/README.md](envoy/README.md) describes the method.", ""]
    if plan is QUICK:
        lines += ["A smoke run with small lists: do not draw conclusions from its numbers.", ""]
    if bars:
        lines += ["## Bars", "", report.table(report.BAR_HEAD, [bar.cells() for bar in bars]), ""]
    if any(section.startswith("## CPU") for section in sections) and plan is not QUICK:
        lines += ["![CPU that each filter adds to a request](results.svg)", ""]
    for section in sections:
        lines += [section, ""]
    return "\n".join(lines).rstrip() + "\n"


if __name__ == "__main__":
    # If terminated, it ends its Envoys and simulators too.
    for one in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(one, lambda *_: sys.exit("bench: terminated"))
    try:
        main()
    except BenchError as error:
        sys.exit(f"bench: {error}")
    except KeyboardInterrupt:
        sys.exit("bench: interrupted")
