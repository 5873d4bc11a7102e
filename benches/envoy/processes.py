"""The processes of a benchmark: Envoy, the ABS simulator, sinks, wrk and oha; their cost and their end.

Knows nothing of the contenders.
"""

import contextlib
import ctypes
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent
START_DEADLINE_SECONDS = 120
LIBC = ctypes.CDLL(None, use_errno=True)
# Of linux/prctl.h.
PR_SET_PDEATHSIG = 1


class BenchError(Exception):
    """Stops the benchmark with a message for the user."""


def envoy_binary():
    path = Path(os.environ.get("ENVOY_BIN", REPOSITORY / ".tools/envoy-1.40.0/envoy"))
    if not path.is_file():
        raise BenchError(f"Envoy is not at {path}: run `tools/install envoy`, or set ENVOY_BIN")
    return path


def need_wrk():
    """Installs Debian's wrk if it is missing and this is root."""
    if shutil.which("wrk"):
        return
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise BenchError("wrk, the load generator, is missing: install it (Debian: apt-get install wrk)")
    print("installing wrk with apt-get", flush=True)
    subprocess.run(["apt-get", "update", "-q"], check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["apt-get", "install", "-qy", "wrk"], check=True, stdout=subprocess.DEVNULL)


def free_ports(count):
    """Free ports on loopback."""
    with contextlib.ExitStack() as open_sockets:
        sockets = [open_sockets.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def wait_for(what, condition, seconds=START_DEADLINE_SECONDS, pause=0.02):
    """Polls until `condition()` is true and returns its value. Fails at the deadline."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(pause)
    raise BenchError(f"{what}: not within {seconds} s")


def fetch(url, data=None, method=None, timeout=120):
    """The body of an HTTP response; `None` without a response or with an error status."""
    body = None if data is None else json.dumps(data).encode()
    request = urllib.request.Request(url, data=body, method=method)
    if body is not None:
        request.add_header("content-type", "application/json")
    try:
        with urllib.request.urlopen(request, timeout=timeout) as response:
            return response.read()
    except (urllib.error.URLError, OSError):
        return None


def _end_with_parent():
    # Child processes end with this program, even if it is killed.
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _first_in_line():
    _end_with_parent()
    # Keeps other programs off the measured core; only root may do so.
    # A nice value has no effect across sessions (man 7 sched, autogroup).
    with contextlib.suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))


def put_first(thread, priority):
    """A thread runs before other programs, if this is root."""
    if priority is not None:
        with contextlib.suppress(PermissionError):
            os.sched_setscheduler(thread, os.SCHED_RR, os.sched_param(priority))


class Process:
    """A child process, pinned to cores and with a log, that ends with the `with` block."""

    def __init__(self, command, log, cores=None, environment=None, stdin=subprocess.DEVNULL):
        self.command = [str(part) for part in command]
        self.log_path = Path(log)
        if cores:
            self.command = ["taskset", "-c", ",".join(map(str, cores)), *self.command]
        self.cores = cores
        with open(self.log_path, "wb") as output:
            self.child = subprocess.Popen(
                self.command, stdout=output, stderr=subprocess.STDOUT, stdin=stdin,
                preexec_fn=_first_in_line if cores else _end_with_parent, env={**os.environ, **(environment or {})})

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        if self.child.poll() is None:
            self.child.terminate()
            try:
                self.child.wait(20)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()

    def check(self):
        if self.child.poll() is not None:
            raise BenchError(f"{self.command} ended with {self.child.returncode}:\n{self.log()[-4000:]}")

    def log(self):
        return self.log_path.read_text(errors="replace")

    def cpu_seconds(self):
        """User and system time of all threads so far: the same time as utime + stime of /proc/<pid>/stat, read
        from the process's CPU clock, which counts nanoseconds instead of ticks of 10 ms."""
        # The kernel's number of the clock (include/linux/posix-timers.h): ~pid << 3 | CPUCLOCK_SCHED.
        return time.clock_gettime((~self.child.pid << 3) | 2)

    def resident_bytes(self):
        return self._status_bytes("VmRSS")

    def peak_resident_bytes(self):
        return self._status_bytes("VmHWM")

    def _status_bytes(self, name):
        status = Path(f"/proc/{self.child.pid}/status").read_text()
        return int(re.search(rf"^{name}:\s+(\d+) kB", status, re.M)[1]) * 1024


class Envoy(Process):
    """An Envoy with a responding admin interface."""

    def __init__(self, config, directory, concurrency=1, cores=None, name="envoy"):
        self.admin = f"http://127.0.0.1:{free_ports(1)[0]}"
        config = {**config, "admin": {"address": address_of(self.admin)}}
        path = Path(directory) / f"{name}.json"
        path.write_text(json.dumps(config))
        super().__init__(
            [envoy_binary(), "-c", path, "--concurrency", concurrency, "--disable-hot-restart", "-l", "warn"],
            Path(directory) / f"{name}.log", cores)
        try:
            wait_for("Envoy to be ready", self._ready)
        except BaseException:
            self.stop()
            raise

    def _ready(self):
        self.check()
        return fetch(self.admin + "/ready")

    def stats(self, pattern):
        """Counters and gauges with names that match `pattern`."""
        query = urllib.parse.urlencode({"filter": pattern})
        text = (fetch(f"{self.admin}/stats?{query}") or b"").decode()
        pairs = (line.rsplit(": ", 1) for line in text.splitlines())
        return {name: int(value) for name, value in pairs if value.isdigit()}

    def put_workers_first(self):
        """Workers run before other programs and before Envoy's other threads, if this is root."""
        for thread, is_worker in self._threads():
            put_first(thread, 1 if is_worker else None)

    def put_workers_last(self):
        """Envoy's other threads run before its workers, if this is root. With the same realtime priority they would wait up to
        0.1 s for a busy worker on the same core."""
        for thread, is_worker in self._threads():
            put_first(thread, 1 if is_worker else 2)

    def _threads(self):
        """Numbers of the threads, and whether each is a worker."""
        for task in Path(f"/proc/{self.child.pid}/task").iterdir():
            yield int(task.name), (task / "comm").read_text().startswith("wrk:worker")

    def histogram(self, pattern):
        """Histograms with names that match `pattern`: samples up to each upper bound, since the start."""
        query = urllib.parse.urlencode({"histogram_buckets": "cumulative", "format": "json", "filter": pattern})
        upto = {}
        for entry in json.loads(fetch(f"{self.admin}/stats?{query}") or b"{}").get("stats", []):
            for histogram in entry["histograms"]:
                for bucket in histogram["buckets"]:
                    bound = bucket["upper_bound"]
                    upto[bound] = upto.get(bound, 0) + bucket["cumulative"]
        return upto


class Simulator(Process):
    """examples/abs-simulator with a generated list."""

    def __init__(self, directory, name, entries=0, kinds="ips"):
        binary = Path(os.environ.get("ABS_SIMULATOR_BIN", REPOSITORY / "target/release/abs-simulator"))
        if not binary.is_file():
            raise BenchError(f"the ABS simulator is not at {binary}: run `make build`")
        self.entries, self.kinds = entries, kinds
        super().__init__([binary, "--listen", "127.0.0.1:0"], Path(directory) / f"{name}.log")
        line = re.compile(r"abs-simulator listening on (http://\S+)")
        try:
            self.url = wait_for("the ABS simulator", lambda: (self.check(), line.search(self.log()))[1])[1]
            if entries:
                self.generate(1)
        except BaseException:
            self.stop()
            raise

    def generate(self, seed):
        """Replaces the list; adjacent seeds share no entry in lists of at most 2^20."""
        body = {"entries": self.entries, "kinds": self.kinds, "seed": seed}
        if fetch(self.url + "/admin/generate", body, "POST") is None:
            raise BenchError(f"the ABS simulator refused to generate {body}")

    def counters(self):
        return json.loads(fetch(self.url + "/admin/counters") or b"{}")


class Sink(Process):
    """sink.py, with the attack list of a simulator."""

    def __init__(self, directory, name, simulator, cores=None, deaf=False):
        command = [sys.executable, HERE / "sink.py", simulator.url, *(["--deaf"] if deaf else [])]
        super().__init__(command, Path(directory) / f"{name}.log", cores)
        line = re.compile(r"sink listening on (http://\S+)")
        if cores:
            # Before a client on the same core, so that records never wait for it.
            put_first(self.child.pid, 2)
        try:
            self.url = wait_for("the sink", lambda: (self.check(), line.search(self.log()))[1])[1]
        except BaseException:
            self.stop()
            raise

    def last_fetch(self):
        """When the last fetch that got an attack list arrived, and when its response was written; see sink.py."""
        return json.loads(fetch(self.url + "/fetch") or b"[0, 0]")


def address_of(url):
    host, port = re.match(r"https?://([^:/]+):(\d+)", url).groups()
    return {"socket_address": {"address": host, "port_value": int(port)}}


def wrk(port, requests, seconds, connections=16, cores=None, delay_ms=None):
    """Runs wrk on one thread; returns the object that load.lua prints."""
    command = ["taskset", "-c", ",".join(map(str, cores))] if cores else []
    command += ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(HERE / "load.lua"),
                f"http://127.0.0.1:{port}/", "--", str(requests)]
    if delay_ms is not None:
        command.append(str(delay_ms))
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60,
                          preexec_fn=_first_in_line if cores else _end_with_parent)
    if done.returncode != 0:
        raise BenchError(f"wrk failed: {done.stdout}{done.stderr}")
    result = json.loads(done.stdout.splitlines()[-1])
    if result["broken"] or not result["requests"]:
        raise BenchError(f"wrk had broken connections: {result}")
    return result


def oha(port, headers, rate, seconds, connections, cores=None):
    """Requests at a fixed rate, independent of the responses; returns latencies in microseconds and the number of responses.

    A latency counts from when the request was due, so it includes the wait for a free connection.
    """
    binary = Path(os.environ.get("OHA_BIN", REPOSITORY / ".tools/bin/oha"))
    if not binary.is_file():
        raise BenchError(f"oha is not at {binary}: run `tools/install oha`")
    command = ["taskset", "-c", ",".join(map(str, cores))] if cores else []
    command += [str(binary), "--no-tui", "--output-format", "json", "-z", f"{seconds}s", "-q", str(rate),
                "-c", str(connections), "--latency-correction"]
    for name, value in headers.items():
        command += ["-H", f"{name}: {value}"]
    done = subprocess.run([*command, f"http://127.0.0.1:{port}/shop/cart"], capture_output=True, text=True,
                          timeout=seconds + 60, preexec_fn=_first_in_line if cores else _end_with_parent)
    if done.returncode != 0:
        raise BenchError(f"oha failed: {done.stdout}{done.stderr}")
    result = json.loads(done.stdout)
    responses = sum(result["statusCodeDistribution"].values())
    # oha aborts pending requests at the end of its time.
    broken = {what: count for what, count in result["errorDistribution"].items() if "deadline" not in what}
    if broken or set(result["statusCodeDistribution"]) != {"200"}:
        raise BenchError(f"oha got {result['statusCodeDistribution']} and {broken}")
    if responses < 0.98 * rate * seconds:
        raise BenchError(f"oha made {responses} of {rate * seconds} requests: the machine is too busy")
    microseconds = {name: share * 1e6 for name, share in result["latencyPercentiles"].items()}
    return {"requests": responses, "p50": microseconds["p50"], "p99": microseconds["p99"],
            "p999": microseconds["p99.9"]}


class CoreWatch:
    """How much of one core other programs used; a slice with other load is repeated."""

    def __init__(self, core):
        self.core = core

    def busy_seconds(self):
        for line in Path("/proc/stat").read_text().splitlines():
            fields = line.split()
            if fields[0] == f"cpu{self.core}":
                user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, fields[1:9])
                return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")
        raise BenchError(f"/proc/stat has no core {self.core}")
