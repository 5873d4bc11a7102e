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
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import report
from cpu import CpuBench
from cpu_report import cpu_bars, cpu_section
from parts import NEEDS, PARTS
from processes import REPOSITORY, BenchError, envoy_binary

RESULTS = REPOSITORY / "benches/RESULTS.md"
# Explains the bars that are not reached; written by hand.
BOUNDS = Path(__file__).parent / "bounds.md"
PICTURE = REPOSITORY / "benches/results.svg"
ARTEFACTS = {"wasm": REPOSITORY / "target/portcullis.wasm", "native": REPOSITORY / "target/libportcullis.so"}
ALL_PARTS = ("cpu", *PARTS)
# The native module's rows, and those that they are compared with.
NATIVE_ROWS = r"^(empty|native-.*|rbac-trie|ext_authz|wasm-(ips|mixed)-{large}(-blocked)?)$"


@dataclass(frozen=True)
class Plan:
    """How much is measured."""
    rounds: int
    # Turns of the contenders without records, per round.
    turns: int
    turn_seconds: float
    # Slices of those with records, per round.
    passes: int
    seconds: int
    sizes: tuple
    huge: int
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


FULL = Plan(rounds=5, turns=50, turn_seconds=0.06, passes=5, seconds=1, sizes=(1_000, 100_000, 1_000_000),
            huge=10_000_000, lua_entries=100_000, rbac_entries=10_000, trie_entries=100_000, refreshes=20, hold_seconds=60, enforcements=5, intervals=10,
            latency_rounds=7, latency_seconds=10, queue_rounds=3, queue_seconds=10)
# Everything runs, nothing is worth a conclusion.
QUICK = Plan(rounds=1, turns=3, turn_seconds=0.03, passes=1, seconds=1, sizes=(1_000, 10_000), huge=100_000, lua_entries=10_000, rbac_entries=1_000,
             trie_entries=10_000, refreshes=2, hold_seconds=8, enforcements=1, intervals=3,
             latency_rounds=2, latency_seconds=2, queue_rounds=1, queue_seconds=4)


def main():
    arguments = parse_arguments()
    load = os.getloadavg()[0]
    plan = QUICK if arguments.quick else FULL
    if arguments.rounds:
        plan = replace(plan, rounds=arguments.rounds)
    artefacts = {name: need(name) for name in arguments.artefacts}
    chosen = {name: path for name, path in artefacts.items() if name == "native" or not arguments.native_only}
    sections, bars, took = [], [], {}
    subject = identity(artefacts)
    with tempfile.TemporaryDirectory(prefix="portcullis-bench-") as directory:
        directory = Path(directory)
        # A build while this runs must not change what is measured.
        copies = {name: Path(shutil.copy(path, directory)) for name, path in artefacts.items()}
        if "cpu" in arguments.parts:
            start = time.monotonic()
            rows = NATIVE_ROWS.format(large=plan.sizes[-1]) if arguments.native_only else arguments.contenders
            bench = CpuBench(directory, plan, copies, empty_filter(), re.compile(rows)).run()
            sections.append(cpu_section(bench, plan))
            bars += cpu_bars(bench, plan)
            took["cpu"] = time.monotonic() - start
            if arguments.chart:
                report.chart(bench, arguments.chart)
        for part in arguments.parts:
            if part == "cpu" or not chosen or NEEDS.get(part) not in (None, *chosen):
                continue
            print(f"measuring: {part}", flush=True)
            start = time.monotonic()
            text, more = PARTS[part](directory, {name: copies[name] for name in chosen}, plan)
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
    parser.add_argument("--parts", default=",".join(ALL_PARTS), help="which parts, by commas (default: %(default)s)")
    parser.add_argument("--contenders", default="", metavar="REGEX", help="only these contenders, and no filter")
    parser.add_argument("--native-only", action="store_true",
                        help="only the native module, and the contenders that it is compared with")
    parser.add_argument("--without-portcullis", action="store_true", help="only the other contenders")
    parser.add_argument("--chart", type=Path, metavar="FILE", help="where to write the chart of a partial run")
    arguments = parser.parse_args()
    arguments.parts = arguments.parts.split(",")
    unknown = set(arguments.parts) - set(ALL_PARTS)
    if unknown:
        parser.error(f"--parts: unknown {', '.join(sorted(unknown))}; known are {', '.join(ALL_PARTS)}")
    arguments.artefacts = [] if arguments.without_portcullis else list(ARTEFACTS)
    # Half a measurement never replaces a whole one.
    arguments.write = not (arguments.quick or arguments.contenders or arguments.without_portcullis
                           or arguments.native_only or arguments.parts != list(ALL_PARTS))
    if arguments.write:
        arguments.chart = PICTURE
    return arguments


def identity(artefacts):
    """The revision that is measured, and its artefacts."""
    def git(*arguments):
        done = subprocess.run(["git", *arguments], cwd=REPOSITORY, capture_output=True, text=True, check=False)
        return done.stdout.strip()

    revision = git("rev-parse", "--short=12", "HEAD") or "unknown"
    # What this program writes is no change of what it measures.
    if git("status", "--porcelain", "--", ".", ":!benches/RESULTS.md", ":!benches/results.svg"):
        revision += " with changes"
    described = [f"revision {revision}"]
    for path in artefacts.values():
        digest = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
        described.append(f"{path.name} {path.stat().st_size:,} bytes (SHA-256 {digest})")
    return "; ".join(described)


def need(artefact):
    path = ARTEFACTS[artefact]
    if not path.is_file():
        raise BenchError(f"the {artefact} module is not at {path}: run `make build`")
    return path


def empty_filter():
    """Builds the empty filter and returns its path."""
    subprocess.run(["cargo", "build", "--quiet", "--release", "--target", "wasm32-wasip1", "-p", "empty-filter"],
                   cwd=REPOSITORY, check=True)
    target = Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target"))
    return target / "wasm32-wasip1/release/empty_filter.wasm"


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
