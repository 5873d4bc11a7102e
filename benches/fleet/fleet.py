#!/usr/bin/env python3
"""`portcullis serve` under the load of a fleet of simulated nodes. See `fleet.py --help`; README.md describes the method.

Prints the results as Markdown. Exits 0 if everything could be measured, even if a bar was not reached.
"""

import argparse
import contextlib
import datetime
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "envoy"))

import report  # noqa: E402
from capture import discovery_request  # noqa: E402
from processes import REPOSITORY, BenchError, Process, Simulator, fetch, free_ports, wait_for  # noqa: E402
from report import Bar  # noqa: E402

MIB = 1 << 20
PROGRAMS = Path(os.environ.get("PROGRAMS", REPOSITORY / "target/release"))
FILTER = "portcullis"
LIST = "/v1/feeds/crowdsec"
# The key is the simulator's and no secret.
KEY = {"x-api-key": "lapi_key"}
LARGE = 1_000_000


class Server(Process):
    """`portcullis serve` with one relayed feed, on the first core."""

    def __init__(self, directory, name, port, upstream, interval):
        self.address = f"127.0.0.1:{port}"
        relay = directory / "relay.json"
        relay.write_text(json.dumps({
            "feeds": [{"name": "crowdsec", "format": "crowdsec", "cluster": "lapi", "interval": f"{interval}s",
                       "memory": "512MB", "session_cookie": "session", "headers": KEY}],
            "upstreams": {"lapi": upstream},
        }))
        super().__init__(
            [program("portcullis"), "serve", "--filters", directory / "filters", "--relay", relay, "--state",
             directory / "state", "--listen", self.address], directory / f"{name}.log", cores()[:1])
        wait_for("the server", lambda: (self.check(), f"http://{self.address}" in self.log())[1], pause=0.002)

    def get_list(self):
        """Status, headers and body of the list as it is sent to a node; `None` while there is none."""
        request = urllib.request.Request(f"http://{self.address}{LIST}", headers={"accept-encoding": "gzip"})
        with contextlib.suppress(OSError), urllib.request.urlopen(request) as response:
            return response.status, response.headers, response.read()
        return None

    def etag(self):
        response = self.get_list()
        return response and response[1]["etag"]


class Nodes(Process):
    """The simulated nodes, on the last core."""

    def __init__(self, directory, plan, server, request):
        self.plan = plan
        super().__init__(
            [program("fleet-nodes"), "--server", server.address, "--nodes", plan.nodes, "--request", request,
             "--poll", plan.poll, "--spread", plan.spread, "--list", LIST, "--interval", plan.interval],
            directory / "nodes.log", cores()[-1:], stdin=subprocess.PIPE)

    def ask(self, command):
        """The reply to a command."""
        self.check()
        offset = self.log_path.stat().st_size
        self.child.stdin.write(f"{command}\n".encode())
        self.child.stdin.flush()

        def reply():
            self.check()
            with open(self.log_path, "rb") as log:
                log.seek(offset)
                line = log.readline()
            return line if line.endswith(b"\n") else None
        return json.loads(wait_for(f"the reply to {command}", reply, pause=0.002))

    def wait(self, what, condition, seconds=120):
        """Waits for a condition of the nodes' state; returns the seconds that it took, and the state."""
        start = time.monotonic()
        state = wait_for(what, lambda: (lambda state: condition(state) and state)(self.ask("state")), seconds, 0.05)
        return time.monotonic() - start, state


class Round:
    """What one round measured."""

    def __init__(self, server, nodes, simulator, directory, plan, seed):
        self.server, self.nodes, self.simulator = server, nodes, simulator
        self.directory, self.plan, self.seed = directory, plan, seed

    def steady(self):
        """CPU, latency and memory while nothing changes."""
        self.nodes.ask("samples")
        cpu, start = self.server.cpu_seconds(), time.monotonic()
        time.sleep(self.plan.window)
        cpu, seconds = self.server.cpu_seconds() - cpu, time.monotonic() - start
        self.samples = self.nodes.ask("samples")
        self.core = cpu / seconds
        self.resident = self.server.resident_bytes() / MIB

    def flag(self):
        """One command changes a flag."""
        before = set(self.nodes.ask("state")["configurations"])
        command = "enable_abs_attack" if self.seed % 2 else "disable_abs_attack"
        file = self.directory / f"filters/{FILTER}.json"
        subprocess.run([program("portcullis"), "--config", file, command], check=True, stdout=subprocess.DEVNULL)
        self.flag_seconds, _ = self.nodes.wait(
            "the flag on all nodes", lambda state: len(state["configurations"]) == 1
            and not before & set(state["configurations"]))
        self.flag_samples = self.nodes.ask("samples")

    def list(self):
        """A hundredth more decisions upstream."""
        before, fetched = self.server.etag(), upstream_requests(self.simulator)
        addresses = (f"45.{self.seed}.{number // 256}.{number % 256}" for number in range(self.plan.entries // 100))
        more = [{"value": address, "scenario": f"round {self.seed}"} for address in addresses]
        if fetch(f"{self.simulator.url}/admin/decisions", more, "POST") is None:
            raise BenchError("the simulator refused decisions")
        cpu, start = self.server.cpu_seconds(), time.monotonic()
        wait_for("the new list", lambda: self.server.etag() not in (None, before), 4 * self.plan.upstream, 0.2)
        self.list_relayed_seconds = time.monotonic() - start
        self.list_requests = upstream_requests(self.simulator) - fetched
        self.nodes.wait("the new list on all nodes", lambda state: before not in state["lists"] and len(state["lists"]) == 1,
                        4 * self.plan.interval)
        seconds = time.monotonic() - start
        self.list_core = (self.server.cpu_seconds() - cpu) / seconds
        self.list_all_requests = upstream_requests(self.simulator) - fetched
        self.list_seconds = seconds
        self.list_samples = self.nodes.ask("samples")

    def restart(self):
        """The server is killed and started; returns the new one."""
        before = self.nodes.ask("state")
        self.nodes.ask("samples")
        port = int(self.server.address.rpartition(":")[2])
        self.server.child.kill()
        self.server.child.wait()
        start = time.monotonic()
        self.nodes.ask("mark")
        self.server = Server(self.directory, f"server-{self.seed}", port, self.simulator.url, self.plan.upstream)
        self.down_seconds = time.monotonic() - start
        _, after = self.nodes.wait("all nodes after the restart", lambda state: state["polled"] == self.plan.nodes)
        self.restart_seconds = time.monotonic() - start
        self.restart_samples = self.nodes.ask("samples")
        self.lost = [what for what in ("configurations", "lists") if before[what] != after[what]]
        return self.server


def measure(directory, plan):
    """The rounds, and the bytes of a large list."""
    (directory / "filters").mkdir()
    text = (REPOSITORY / "envoy/filter.json").read_text()
    (directory / f"filters/{FILTER}.json").write_text(text)
    request = directory / "request.json"
    request.write_text(discovery_request(directory))
    rounds = []
    with contextlib.ExitStack() as stack:
        simulator = stack.enter_context(Simulator(directory, "lapi"))
        generate(simulator, plan.entries, 1)
        server = Server(directory, "server", free_ports(1)[0], simulator.url, plan.upstream)
        stack.callback(lambda: server.stop())
        wait_for("the list", server.etag)
        nodes = stack.enter_context(Nodes(directory, plan, server, request))
        nodes.wait("the first list of all nodes", lambda state: "" not in {**state["lists"], **state["configurations"]},
                   4 * plan.interval)
        for number in range(plan.rounds):
            one = Round(server, nodes, simulator, directory, plan, number + 2)
            for part in ("steady", "flag", "list"):
                getattr(one, part)()
            server = one.restart()
            rounds.append(one)
            print(f"round {number + 1}: {one.core:.3f} of a core, {one.resident:.0f} MB, p99 of a poll "
                  f"{one.samples['polls']['p99_us'] / 1000:.1f} ms; flag {one.flag_seconds:.1f} s; list {one.list_seconds:.1f} s, "
                  f"{one.list_requests} requests; restart {one.restart_seconds:.1f} s", flush=True)
        size = request.stat().st_size
    return rounds, size


def large_list(directory, entries):
    """Bytes of LAPI's stream, as it sends it, and of the list that a node fetches."""
    directory.mkdir()
    with contextlib.ExitStack() as stack:
        simulator = stack.enter_context(Simulator(directory, "large-lapi"))
        generate(simulator, entries, 1)
        request = urllib.request.Request(f"{simulator.url}/v1/decisions/stream?startup=true",
                                         headers={"accept-encoding": "gzip", **KEY})
        with urllib.request.urlopen(request) as response:
            stream = len(response.read())
        (directory / "filters").mkdir()
        (directory / f"filters/{FILTER}.json").write_text((REPOSITORY / "envoy/filter.json").read_text())
        server = stack.enter_context(Server(directory, "large", free_ports(1)[0], simulator.url, 60))
        _, _, body = wait_for("the large list", server.get_list)
        return {"entries": entries, "stream": stream, "list": len(body), "resident": server.resident_bytes() / MIB,
                "peak": server.peak_resident_bytes() / MIB}


def generate(simulator, entries, seed):
    body = {"entries": entries, "kinds": "mixed", "seed": seed, "duration": "4h"}
    if fetch(f"{simulator.url}/admin/decisions/generate", body, "POST") is None:
        raise BenchError(f"the simulator refused to generate {body}")


def upstream_requests(simulator):
    return simulator.counters()["decisions_get"]


def program(name):
    path = PROGRAMS / name
    if not path.is_file():
        raise BenchError(f"{name} is not at {path}: run `make bench-fleet`")
    return path


def cores():
    return sorted(os.sched_getaffinity(0))


def text_of(rounds, size, large, plan, load):
    def middle(value):
        return statistics.median(value(one) for one in rounds)

    def p99(kind):
        return middle(lambda one: (one.samples[kind]["p99_us"] or 0) / 1000)

    kinds = ("polls", "lists")
    while_up = [part[kind] for one in rounds for part in (one.samples, one.flag_samples, one.list_samples) for kind in kinds]
    failed = sum(sum(part["errors"].values()) for part in while_up)
    bad = sum(count for part in [*while_up, *(one.restart_samples[kind] for one in rounds for kind in kinds)]
              for status, count in part["statuses"].items() if status not in ("200", "304"))
    bars = [
        Bar(f"{plan.nodes:,} nodes: CPU", 100 * middle(lambda one: one.core), 50, "% of a core", spread(one.core for one in rounds)),
        Bar("p99 of a request for the configuration", p99("polls"), 50, "ms"),
        Bar("p99 of a request for the list", p99("lists"), 50, "ms"),
        Bar("resident memory", middle(lambda one: one.resident), 200, "MB"),
        Bar("failed requests while the server runs", failed + bad, 0, exact=True),
        Bar("a flag changed by one command: on all nodes", max(one.flag_seconds for one in rounds), 2 * plan.poll, "s",
            "slowest round"),
        Bar("more decisions upstream: requests to LAPI until the server has them", max(one.list_requests for one in rounds), 1,
            exact=True, note="for all nodes; most of a round"),
        Bar("killed and started: all nodes polled again", max(one.restart_seconds for one in rounds), 10, "s",
            f"slowest round; the server listened after {max(one.down_seconds for one in rounds):.2f} s"),
        Bar("configurations or lists lost by the restart", sum(len(one.lost) for one in rounds), 0, exact=True),
    ]
    if large:
        bars.append(Bar(f"bytes that a node fetches for {large['entries']:,} mixed entries, to LAPI's stream",
                        large["list"] / large["stream"], 0.1, note=f"{large['list']:,} to {large['stream']:,} bytes"))
    rows = []
    for part, name in (("samples", "steady"), ("list_samples", "more decisions upstream"), ("restart_samples", "restart")):
        for kind in kinds:
            all_of = [getattr(one, part)[kind] for one in rounds]
            cells = [f"{statistics.median((one[key] or 0) / 1000 for one in all_of):.1f}" for key in ("p50_us", "p99_us", "max_us")]
            counted = {}
            for one in all_of:
                for error, count in one["errors"].items():
                    counted[error] = counted.get(error, 0) + count
            rows.append([name, {"polls": "configuration", "lists": "list"}[kind],
                         f"{statistics.median(one['responses'] for one in all_of):,.0f}", *cells,
                         f"{statistics.median(one['body_bytes'] for one in all_of) / MIB:,.1f}",
                         ", ".join(f"{count} {error}" for error, count in counted.items()) or "none"])
    head = ["phase", "request for", "responses", "p50, ms", "p99, ms", "max, ms", "bodies, MB", "errors, all rounds"]
    lines = ["## Fleet", "",
             f"{datetime.date.today()}; {report.machine()}; load average before the run {load:.1f} (other programs).",
             f"{plan.rounds} rounds; each node asks for its configuration every {plan.poll:g} s"
             + (f" and up to {100 * plan.spread:.0f} % later" if plan.spread else "")
             + f", with the {size:,} bytes that Envoy sends, and for a list of {plan.entries:,} decisions every "
             f"{plan.interval:g} s; the server fetches the list every {plan.upstream} s.", "",
             report.table(report.BAR_HEAD, [bar.cells() for bar in bars]), "", report.table(head, rows), "",
             f"Medians of the rounds. Until all nodes had more decisions it took {middle(lambda one: one.list_seconds):.0f} s, of "
             f"which {middle(lambda one: one.list_relayed_seconds):.0f} s until the server had it; in that time the server used "
             f"{100 * middle(lambda one: one.list_core):.0f} % of a core and made "
             f"{middle(lambda one: one.list_all_requests):.0f} requests upstream."]
    if large:
        lines.append(f"With {large['entries']:,} decisions the server had {large['resident']:.0f} MB resident, {large['peak']:.0f} MB at most.")
    return "\n".join(lines)


def spread(values):
    values = list(values)
    return f"{100 * min(values):.0f} to {100 * max(values):.0f} in the rounds"


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--window", type=float, default=30, help="seconds of a steady window")
    parser.add_argument("--poll", type=float, default=5, help="seconds between two requests for the configuration")
    parser.add_argument("--spread", type=float, default=0, help="the longest random addition, as a share; Envoy's is 1")
    parser.add_argument("--interval", type=float, default=60, help="seconds between two requests for the list")
    parser.add_argument("--upstream", type=int, default=30, help="seconds between two requests upstream")
    parser.add_argument("--entries", type=int, default=100_000, help="entries of the list")
    parser.add_argument("--quick", action="store_true", help="a smoke run: 200 nodes, one round")
    parser.add_argument("--without-large", action="store_true", help="without the list of 1,000,000 entries")
    plan = parser.parse_args()
    if plan.quick:
        plan.nodes, plan.rounds, plan.window, plan.interval, plan.upstream, plan.entries = 200, 1, 5, 5, 5, 1_000
    return plan


def main():
    plan, load = parse_arguments(), os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="portcullis-fleet-") as directory:
        large = None if plan.without_large else large_list(Path(directory) / "large", 10_000 if plan.quick else LARGE)
        rounds, size = measure(Path(directory), plan)
    print("\n" + text_of(rounds, size, large, plan, load))


if __name__ == "__main__":
    for one in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(one, lambda *_: sys.exit("fleet: terminated"))
    try:
        main()
    except BenchError as error:
        sys.exit(f"fleet: {error}")
    except KeyboardInterrupt:
        sys.exit("fleet: interrupted")
