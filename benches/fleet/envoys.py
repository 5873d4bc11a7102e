#!/usr/bin/env python3
"""`portcullis serve` with real Envoys: how long a flag and a new list take to reach all of them.

Each Envoy has envoy/fleet.yaml with other ports. Clients send clean requests all the time; each that fails is counted.
Needs `make build simulator`. Prints the results as Markdown. See `envoys.py --help`.
"""

import argparse
import contextlib
import http.client
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "envoy"))

from processes import REPOSITORY, BenchError, Process, Simulator, envoy_binary, fetch, free_ports, wait_for  # noqa: E402

PORTCULLIS = Path(os.environ.get("PORTCULLIS_BIN", REPOSITORY / "target/release/portcullis"))
MODULE = Path(os.environ.get("PORTCULLIS_WASM", REPOSITORY / "target/portcullis.wasm"))
SAMPLE_API = Path(os.environ.get("SAMPLE_API_BIN", REPOSITORY / "target/release/sample-api"))
# The loopback address of every request is on the manual deny list, so the firewall decides about it. Clean requests come
# from another address of loopback.
CLEAN = "127.0.0.9"
GENERATION = re.compile(r"attack_list\.generation: (\d+)")


def status(port, source="127.0.0.1"):
    """The status of one request; 0 if there is none."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20, source_address=(source, 0))
    try:
        connection.request("GET", "/shop")
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()


class Node(Process):
    """An Envoy with one worker."""

    def __init__(self, directory, text, number):
        own = directory / f"envoy-{number}"
        own.mkdir()
        config, admin = own / "fleet.yaml", own / "admin"
        config.write_text(text)
        command = [envoy_binary(), "-c", config, "--service-node", f"node-{number}", "--concurrency", 1,
                   "--disable-hot-restart", "-l", "warn", "--admin-address-path", admin]
        super().__init__(command, own / "log", environment={"PORTCULLIS_NODE_TOKEN": ""})
        wait_for("the admin address", lambda: admin.exists() and admin.read_text())
        self.admin = f"http://{admin.read_text()}"
        self.port = wait_for("a listener", self.listener)

    def listener(self):
        self.check()
        found = re.search(rb"^ingress::.*:(\d+)$", fetch(f"{self.admin}/listeners") or b"", re.MULTILINE)
        return found and int(found[1])

    def generation(self):
        text = (fetch(f"{self.admin}/stats?filter=attack_list.generation") or b"").decode()
        found = GENERATION.search(text)
        return int(found[1]) if found else 0


class Clients(threading.Thread):
    """A clean request to each Envoy in turn, until stopped."""

    def __init__(self, ports):
        super().__init__(daemon=True)
        self.ports, self.sent, self.failed, self.ended = ports, 0, 0, threading.Event()

    def run(self):
        while not self.ended.is_set():
            for port in self.ports:
                self.sent += 1
                self.failed += status(port, CLEAN) != 200
                time.sleep(0.005)


class Fleet:
    """The server, its upstream and the Envoys."""

    def __init__(self, directory, plan, stack):
        self.directory, self.plan = directory, plan
        simulator_log = directory / "simulator"
        simulator_log.mkdir()
        self.simulator = stack.enter_context(Simulator(simulator_log, "abs", 1000, "mixed"))
        api_port, self.server_port = free_ports(2)
        stack.enter_context(Process([SAMPLE_API, "--listen", f"127.0.0.1:{api_port}"], directory / "api.log"))
        filters = directory / "filters"
        filters.mkdir()
        self.file = filters / "portcullis.json"
        self.write_filter()
        relay = {
            "upstreams": {"abs": self.simulator.url},
            "enable_abs_attack": True,
            "abs_attack_request_minutes": plan.interval / 60,
            "attack_list_memory": "256MB",
            "abs": {"cluster": "abs", "access_key": "abs_ak", "secret_key": "abs_sk"},
        }
        (directory / "relay.json").write_text(json.dumps(relay))
        command = [PORTCULLIS, "serve", "--filters", filters, "--relay", directory / "relay.json", "--state",
                   directory / "state", "--listen", f"127.0.0.1:{self.server_port}"]
        self.server = stack.enter_context(Process(command, directory / "server.log"))
        wait_for("the server listens", lambda: "http://" in self.server.log())
        text = (REPOSITORY / "envoy/fleet.yaml").read_text()
        for shipped, ours in [("port_value: 9902", f"port_value: {self.server_port}"),
                              ("port_value: 8000", f"port_value: {api_port}"),
                              ("port_value: 9901", "port_value: 0"),
                              ("port_value: 10000", "port_value: 0"),
                              ("refresh_delay: 5s", f"refresh_delay: {plan.refresh_delay}s")]:
            assert shipped in text, shipped
            text = text.replace(shipped, ours)
        self.nodes = [stack.enter_context(Node(directory, text, number)) for number in range(plan.envoys)]
        self.ports = [node.port for node in self.nodes]

    def write_filter(self):
        document = json.loads((REPOSITORY / "envoy/filter.json").read_text())
        config = document["resources"][0]["typed_config"]["config"]
        config["vm_config"]["code"]["local"]["filename"] = str(MODULE)
        config["vm_config"]["environment_variables"] = {}
        config["configuration"]["value"] = {
            "enable_abs_attack": True,
            "abs_attack_request_minutes": self.plan.interval / 60,
            "attack_list_memory": "256MB",
            "abs": {"cluster": "portcullis"},
            "deny_list": {"ips": ["127.0.0.1"]},
        }
        self.file.write_text(json.dumps(document))

    def all_respond(self, expected):
        """Seconds until each Envoy responds to the listed client with this status."""
        started = time.monotonic()
        pending = set(self.ports)
        while pending:
            pending = {port for port in pending if status(port) != expected}
            if time.monotonic() - started > 300:
                raise BenchError(f"{len(pending)} Envoys never responded {expected}")
            time.sleep(0.01)
        return time.monotonic() - started

    def flag(self, command):
        subprocess.run([PORTCULLIS, "--server", f"http://127.0.0.1:{self.server_port}", command], check=True,
                       stdout=subprocess.DEVNULL)

    def list(self, seed):
        """Seconds from a new list upstream until it is active on all Envoys, and its requests upstream."""
        before = [node.generation() for node in self.nodes]
        self.simulator.entries = self.plan.entries
        self.simulator.generate(seed)
        started, requests = time.monotonic(), self.simulator.counters()["attacklist_get"]
        while any(node.generation() == old for node, old in zip(self.nodes, before)):
            if time.monotonic() - started > 300:
                raise BenchError("a list never came")
            time.sleep(0.1)
        return time.monotonic() - started, self.simulator.counters()["attacklist_get"] - requests


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--envoys", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--lists", type=int, default=5, help="rounds with a new list")
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--interval", type=float, default=10, help="seconds between fetches, of server and Envoys")
    parser.add_argument("--refresh-delay", type=int, default=1)
    plan = parser.parse_args()
    with contextlib.ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="portcullis-fleet-")))
        fleet = Fleet(directory, plan, stack)
        fleet.all_respond(403)
        wait_for("a list in each Envoy", lambda: all(node.generation() for node in fleet.nodes))
        clients = Clients(fleet.ports)
        clients.start()
        off, on = [], []
        for number in range(plan.rounds):
            fleet.flag("disable_firewall")
            off.append(fleet.all_respond(200))
            fleet.flag("enable_firewall")
            on.append(fleet.all_respond(403))
            print(f"round {number + 1}: off {off[-1]:.2f} s, on {on[-1]:.2f} s", file=sys.stderr)
        lists = []
        for number in range(plan.lists):
            lists.append(fleet.list(number + 2))
            print(f"list {number + 1}: {lists[-1][0]:.1f} s, {lists[-1][1]} upstream", file=sys.stderr)
        clients.ended.set()
        clients.join()
    seconds = [one for one, _ in lists]
    print(f"{plan.envoys} Envoys, refresh_delay {plan.refresh_delay} s, {os.cpu_count()} cores; {plan.rounds} rounds, {plan.lists} lists")
    print()
    print("| what | median | range |")
    print("|---|---|---|")
    for name, values in [("flag off, enforced on all", off), ("flag on, enforced on all", on),
                         (f"list of {plan.entries} mixed entries, active on all", seconds)]:
        print(f"| {name} | {statistics.median(values):.2f} s | {min(values):.2f} to {max(values):.2f} s |")
    print(f"| fetches of ABS until it is active on all | {statistics.median(n for _, n in lists)} | "
          f"{min(n for _, n in lists)} to {max(n for _, n in lists)} |")
    print(f"| clean requests that failed | {clients.failed} of {clients.sent} | |")


if __name__ == "__main__":
    try:
        main()
    except BenchError as error:
        sys.exit(f"envoys.py: {error}")
