#!/usr/bin/env python3
"""Replaces ABS as the receiver of traffic information at full speed: reads batches and discards them.

sink.py SIMULATOR_URL [--deaf]

Fetches of the attack list are forwarded to the simulator. `GET /fetch` returns when the last one that got a
list arrived and when the last byte of its response was written, in seconds of the monotonic clock, which all processes share. With `--deaf` a call with records is accepted, but neither read
nor given a response, until the caller closes the connection.
"""

import argparse
import http.client
import json
import select
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

FORWARDED = ("content-type", "content-encoding", "etag")


class Sink(BaseHTTPRequestHandler):
    """One connection."""
    protocol_version = "HTTP/1.1"
    simulator = ""
    deaf = False
    # Of the last fetch that got a list.
    fetch = (0.0, 0.0)

    def do_GET(self):
        if self.path == "/fetch":
            return self.respond(200, json.dumps(self.fetch).encode(), [])
        arrived = time.monotonic()
        upstream = http.client.HTTPConnection(self.simulator, timeout=60)
        upstream.request("GET", self.path, headers=dict(self.headers))
        response = upstream.getresponse()
        headers = [(name, response.headers[name]) for name in FORWARDED if name in response.headers]
        self.respond(response.status, response.read(), headers)
        if response.status == 200:
            Sink.fetch = (arrived, time.monotonic())
        upstream.close()

    def do_POST(self):
        if self.deaf:
            self.close_connection = True
            hung_up = select.poll()
            hung_up.register(self.connection, select.POLLRDHUP)
            hung_up.poll()
            return
        room = memoryview(bytearray(1 << 18))
        left = int(self.headers["content-length"])
        while left:
            taken = self.rfile.readinto(room[:left])
            if not taken:
                self.close_connection = True
                return
            left -= taken
        self.respond(200, b"", [])

    def respond(self, status, body, headers):
        self.send_response_only(status)
        for name, value in [*headers, ("content-length", len(body))]:
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(body)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("simulator")
    parser.add_argument("--deaf", action="store_true")
    arguments = parser.parse_args()
    Sink.simulator, Sink.deaf = urllib.parse.urlsplit(arguments.simulator).netloc, arguments.deaf
    server = ThreadingHTTPServer(("127.0.0.1", 0), Sink)
    server.daemon_threads = True
    print(f"sink listening on http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
