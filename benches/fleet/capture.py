"""What a real Envoy sends when it asks for its configuration: mostly the list of its extensions."""

import re
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

from processes import REPOSITORY, Process, envoy_binary, free_ports, wait_for

NODE = "node-captured"


def discovery_request(directory):
    """The body of an Envoy with envoy/fleet.yaml, with @NODE@ as the id of the node."""
    bodies = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            bodies.append(self.rfile.read(int(self.headers["content-length"])).decode())
            self.send_response(304)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    ingress, admin = free_ports(2)
    text = (REPOSITORY / "envoy/fleet.yaml").read_text()
    for port, other in ((10000, ingress), (9901, admin), (9902, server.server_port)):
        text = re.sub(rf"port_value: {port}\b", f"port_value: {other}", text)
    config = directory / "capture.yaml"
    config.write_text(text)
    command = [envoy_binary(), "-c", config, "--service-node", NODE, "--concurrency", 1, "--disable-hot-restart", "-l", "warn"]
    with Process(command, directory / "capture.log", environment={"PORTCULLIS_NODE_TOKEN": ""}) as envoy:
        wait_for("a request of Envoy", lambda: (envoy.check(), bodies)[1])
    server.shutdown()
    return bodies[0].replace(f'"{NODE}"', '"@NODE@"')
