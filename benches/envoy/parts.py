"""The parts of the benchmark besides CPU per request: each returns its section of the results and its bars."""

import statistics

import enable_abs
import feeds
import refresh
import report
from contenders import is_native
from cpu import ratio
from report import Bar

# Copies of a batch in flight in addition to its records: its body in the VM and in Envoy.
BATCH_COPIES = 2
# The refresh interval while refreshes are measured, seconds.
REFRESH_SECONDS = 4
# Limits of a wasm module's size, as in the Makefile, KB.
WASM_SIZE = 512

# Limits by artefact: resident MB with the first list and after the refreshes, ms of a worker, seconds from the fetch and
# from the last byte of a list.
LIMITS = {
    "wasm": {"first": 64, "refreshed": 96, "hold": 5, "fetch": 2},
    "native": {"first": 50, "refreshed": 60, "hold": 1, "last_byte": 0.4},
}
# Resident memory with the long list in a file, MB.
HUGE_LIMIT = 200


def latency_part(directory, modules, plan):
    module, large = modules["wasm"], plan.sizes[-1]
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


def queues_part(directory, modules, plan):
    module, mib, runs = modules["wasm"], refresh.MIB, {}
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


def memory_part(directory, modules, plan):
    large, mib, workers = plan.sizes[-1], refresh.MIB, refresh.WORKERS
    rows, lines, bars = [], [], []
    for artefact, module in modules.items():
        empty = refresh.memory(directory, module, workers, 0)
        full = refresh.memory(directory, module, workers, large, plan.refreshes, REFRESH_SECONDS)
        over = [(value - empty.first) / mib for value in full.after]
        half, first = len(over) // 2, (full.first - empty.first) / mib
        rows += [
            [artefact, "empty list", workers, f"{empty.first / mib:.1f} MB"],
            [artefact, f"{large:,} of all kinds, first load", workers, f"{full.first / mib:.1f} MB"],
            *[[artefact, f"{large:,} of all kinds, after {n} refreshes, each another list", workers,
               f"{full.after[n - 1] / mib:.1f} MB"] for n in sorted({1, half, len(over)}) if n],
            [artefact, "the same, peak while a response arrives", workers, f"{full.peak / mib:.1f} MB"],
        ]
        lines.append(f"{artefact}: over the empty list after each refresh, MB: "
                     + ", ".join(f"{value:.1f}" for value in over) + ".")
        limits = LIMITS[artefact]
        bars += [
            Bar(f"{artefact}: resident over an empty list, first load", first, limits["first"], "MB",
                f"{large:,} of all kinds, {workers} workers"),
            Bar(f"{artefact}: the same after {len(over)} refreshes", over[-1], limits["refreshed"], "MB",
                "an unrelated list each time"),
            Bar(f"{artefact}: highest of the second half of the refreshes over highest of the first",
                max(over[half:]) - max(over[:half]), 2, "MB", "flat: no growth from refresh to refresh"),
        ]
        if not is_native(module):
            more, bar = _further_workers(directory, module, large, empty, full)
            rows += more
            bars.append(bar)
    text = ["## Resident memory of Envoy", "", report.table(["artefact", "list", "workers", "resident"], rows), "", *lines]
    return "\n".join(text), bars


def _further_workers(directory, module, large, empty, full):
    """Each worker has a VM of its own, so a further worker takes memory."""
    mib, many = refresh.MIB, refresh.MANY_WORKERS
    empty_many = refresh.memory(directory, module, many, 0)
    full_many = refresh.memory(directory, module, many, large)
    further = many - refresh.WORKERS
    growth = (full_many.first - full.first) / further / mib
    growth_empty = (empty_many.first - empty.first) / further / mib
    rows = [["wasm", "empty list", many, f"{empty_many.first / mib:.1f} MB"],
            ["wasm", f"{large:,} of all kinds, first load", many, f"{full_many.first / mib:.1f} MB"]]
    return rows, Bar("wasm: growth a further worker", growth - growth_empty, 3, "MB",
                     f"{refresh.WORKERS} to {many} workers, minus a worker with an empty list, {growth_empty:.2f} MB")


def huge_part(directory, modules, plan):
    mib, huge = refresh.MIB, plan.huge
    small = refresh.memory_of_file(directory, modules["native"], 1)
    large = refresh.memory_of_file(directory, modules["native"], huge)
    over = (large.resident - small.resident) / mib
    text = ["## A list in a file", "",
            f"native, {huge:,} addresses in a text file, {refresh.WORKERS} workers: resident {large.resident / mib:.1f} MB, "
            f"with a list of one address {small.resident / mib:.1f} MB; {large.peak / mib:.1f} MB at the peak, while the file "
            f"is read. The list has {large.list / mib:.1f} MB by the filter's metric."]
    return "\n".join(text), [
        Bar(f"native: resident with {huge:,} addresses over a list of one", over, HUGE_LIMIT, "MB",
            f"a text file; the list itself has {large.list / mib:.1f} MB")]


def hold_part(directory, modules, plan):
    large = plan.sizes[-1]
    rows, bars = [], []
    for artefact, module in modules.items():
        calm = refresh.hold(directory, module, large, plan.hold_seconds, 86_400)
        busy = refresh.hold(directory, module, large, plan.hold_seconds, REFRESH_SECONDS)
        rows += [[artefact, name, one.refreshes, one.requests, one.p50_us, one.p99_us, one.p999_us, one.max_us,
                  f"≤ {one.longest_turn_us:,}"] for name, one in (("without refreshes", calm), ("with refreshes", busy))]
        bars.append(Bar(
            f"{artefact}: longest iteration of a worker's loop during refreshes", busy.longest_turn_us / 1000,
            LIMITS[artefact]["hold"], "ms",
            f"{busy.refreshes} refreshes of {large:,}; without refreshes ≤ {calm.longest_turn_us / 1000:g} ms"))
    head = ["artefact", "steady traffic", "refreshes", "requests", "p50, µs", "p99, µs", "p99.9, µs", "max, µs",
            "longest iteration of a worker's loop, µs"]
    text = ["## Latency while the list is refreshed", "", report.table(head, rows), "",
            f"{large:,} entries of all kinds, two workers, eight connections that each pause 1 ms. The longest "
            "iteration is from Envoy's `loop_duration_us` of the workers: the upper bound of its bucket."]
    return "\n".join(text), bars


def enforcement_part(directory, modules, plan):
    large = plan.sizes[-1]
    rows, bars = [], []
    for artefact, module in modules.items():
        limits = LIMITS[artefact]
        for kinds, words in (("ips", "addresses"), ("mixed", "of all kinds")):
            from_fetch, from_last_byte = refresh.time_to_enforcement(
                directory, module, large, kinds, plan.enforcements, REFRESH_SECONDS)
            rows.append([artefact, f"{large:,} {words}", *(
                ", ".join(f"{value:.2f}" for value in times) for times in (from_fetch, from_last_byte))])
            note = f"slowest of {len(from_fetch)}, {refresh.WORKERS} workers"
            if "fetch" in limits:
                bars.append(Bar(f"{artefact}: fetch to enforced on all workers, {large:,} {words}", max(from_fetch),
                                limits["fetch"], "s", note))
            if "last_byte" in limits:
                bars.append(Bar(f"{artefact}: last byte of the list to enforced on all workers, {large:,} {words}",
                                max(from_last_byte), limits["last_byte"], "s", note))
    text = ["## From the fetch to enforcement", "", report.table(
                ["artefact", "list", "from the fetch, s", "from the last byte, s"], rows), "",
            "From the time the fetch reaches ABS (so including ABS's response time), and from the time at which the last byte "
            "of its response is written, until every connection of every worker is denied by an entry that only the new list "
            "has."]
    return "\n".join(text), bars


def fetches_part(directory, modules, plan):
    module, rows, bars = modules["wasm"], [], []
    for concurrency in (1, 4, 16):
        moments = refresh.fetches_an_interval(directory, module, concurrency, plan.intervals, 2)
        gaps = [later - earlier for earlier, later in zip(moments, moments[1:], strict=False)]
        rows.append([concurrency, plan.intervals, len(moments), f"{min(gaps, default=0):.2f} s"])
        bars.append(Bar(f"fetches an interval, {concurrency} workers", round(len(moments) / plan.intervals), 1,
                        exact=True, note=f"{len(moments)} fetches in {plan.intervals} intervals of 2 s, at least "
                                         f"{min(gaps, default=0):.2f} s apart"))
    return "\n".join(["## Fetches", "", report.table(
        ["workers", "intervals of 2 s", "fetches", "shortest gap"], rows)]), bars


def size_part(_directory, modules, _plan):
    lines, bars = ["## The artefacts", ""], []
    for artefact, module in modules.items():
        size = module.stat().st_size
        lines.append(f"`target/{module.name}` has {size:,} bytes.")
        if artefact == "wasm":
            bars.append(Bar(module.name, size / 1024, WASM_SIZE, "KB", f"{size:,} bytes"))
    return "\n".join(lines), bars


def feeds_part(directory, modules, plan):
    module, large, mib = modules["wasm"], plan.sizes[-1], refresh.MIB
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


PARTS = {"latency": latency_part, "queues": queues_part, "memory": memory_part, "huge": huge_part, "hold": hold_part,
         "enforcement": enforcement_part, "fetches": fetches_part, "feeds": feeds_part, "size": size_part}
# The parts that one artefact has only.
NEEDS = {"latency": "wasm", "queues": "wasm", "fetches": "wasm", "feeds": "wasm", "huge": "native"}
