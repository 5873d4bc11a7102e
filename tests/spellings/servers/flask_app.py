"""What Flask and Werkzeug recognise, on Werkzeug's own server. usage: flask_app.py PORT"""

import logging
import sys
from datetime import timedelta

import readings
from flask import Flask, Response, request, session
from werkzeug.serving import WSGIRequestHandler

app = Flask("spellings")
app.secret_key = readings.SECRET
app.permanent_session_lifetime = timedelta(days=36500)


def read():
    for name in readings.COOKIES:
        yield f"cookie.{name}", request.cookies.get(name)
    yield "session.flask", session.get("id")
    yield "session.serializer", readings.serializer(request.cookies.get("signed"))
    yield "path", request.path
    yield "key.header", request.headers.get("x-api-key")
    yield "key.query", request.args.get("api_key")
    yield "token.query", request.args.get("access_token")
    for name, value in readings.jwts(request.args.get("access_token", "")):
        yield f"{name}-query", value
    if request.authorization:
        yield "auth.werkzeug", request.authorization.token
        yield "basic.werkzeug", request.authorization.type == "basic" and request.authorization.username
        yield "digest.werkzeug", request.authorization.type == "digest" and request.authorization.username
    yield from readings.authorization(request.headers.get("Authorization"))


@app.route("/", defaults={"path": ""})
@app.route("/<path:path>")
def respond(path):
    return Response(readings.lines(read()), mimetype="text/plain")


if __name__ == "__main__":
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    WSGIRequestHandler.protocol_version = "HTTP/1.1"
    app.run("127.0.0.1", int(sys.argv[1]), threaded=True)
