"""Keep-alive connections that send one request and count how many were denied, with just enough of HTTP/1.1."""

import socket


class Prober:
    """`count` connections to one port of loopback."""

    def __init__(self, port, count):
        self.port, self.count = port, count
        self.sockets = []

    def __enter__(self):
        self.sockets = [socket.create_connection(("127.0.0.1", self.port), 10) for _ in range(self.count)]
        return self

    def __exit__(self, *_):
        for one in self.sockets:
            one.close()

    def refused(self, request):
        """Number of connections on which this request gets 403."""
        for one in self.sockets:
            one.sendall(request)
        return sum(_status(one) == 403 for one in self.sockets)


def _status(connection):
    data = b""
    while b"\r\n\r\n" not in data:
        data += _more(connection)
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    length = next((int(line.split(b":")[1]) for line in lines if line.startswith(b"content-length:")), 0)
    while len(body) < length:
        body += _more(connection)
    return int(lines[0].split()[1])


def _more(connection):
    data = connection.recv(65_536)
    if not data:
        raise ConnectionError("Envoy closed a probing connection")
    return data
