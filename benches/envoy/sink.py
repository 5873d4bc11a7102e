#!/usr/bin/env python3
"""Stands in for ABS where traffic information is sent at full speed: takes batches and keeps nothing.

sink.py SIMULATOR_URL [--deaf]

Fetches of the attack list are handed on to the simulator. With `--deaf` a call that carries records is accepted and
neither read nor answered, until its caller hangs up.
"""

import argparse
import http.client
import select
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PASSED_ON = ("content-type", "content-encoding", "etag")


class Sink(BaseHTTPRequestHandler):
    """One connection."""
    protocol_version = "HTTP/1.1"
    simulator = ""
    deaf = False

    def do_GET(self):
        upstream = http.client.HTTPConnection(self.simulator, timeout=60)
        upstream.request("GET", self.path, headers=dict(self.headers))
        answer = upstream.getresponse()
        headers = [(name, answer.headers[name]) for name in PASSED_ON if name in answer.headers]
        self.answer(answer.status, answer.read(), headers)
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
        self.answer(200, b"", [])

    def answer(self, status, body, headers):
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
