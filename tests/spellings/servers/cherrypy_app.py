"""What CherryPy on its own server recognises, and what WebOb and Bottle recognise in the same request. usage: cherrypy_app.py PORT"""

import sys

import bottle
import cherrypy
import readings
import webob


def read_bottle(environ):
    request = bottle.BaseRequest(dict(environ))
    for name in readings.COOKIES:
        yield f"cookie.{name}.bottle", request.get_cookie(name)
    yield "key.header.bottle", request.get_header("x-api-key")
    yield "key.query.bottle", request.query.get("api_key")
    yield "token.query.bottle", request.query.get("access_token")
    yield "basic.bottle", request.auth and request.auth[0]


def read_webob(environ):
    request = webob.Request(dict(environ))
    for name in readings.COOKIES:
        yield f"cookie.{name}.webob", request.cookies.get(name)
    yield "key.header.webob", request.headers.get("x-api-key")
    yield "key.query.webob", request.GET.get("api_key")
    yield "token.query.webob", request.GET.get("access_token")
    yield "auth.webob", request.authorization and str(request.authorization[1])


def attempt(reading):
    """What a reading finds before it fails, if it fails."""
    try:
        yield from reading
    except Exception:  # an application would respond with 400
        pass


class Root:
    @cherrypy.expose
    def default(self, *_path, **parameters):
        cherrypy.response.headers["Content-Type"] = "text/plain"
        return readings.lines(self.read(parameters))

    def read(self, parameters):
        request = cherrypy.request
        for name in readings.COOKIES:
            yield f"cookie.{name}", name in request.cookie and request.cookie[name].value
        yield "session.serializer", "signed" in request.cookie and readings.serializer(
            request.cookie["signed"].value
        )
        yield "path", request.path_info
        yield "key.header", request.headers.get("X-Api-Key")
        yield "key.query", parameters.get("api_key")
        yield "token.query", parameters.get("access_token")
        yield from attempt(read_bottle(request.wsgi_environ))
        yield from attempt(read_webob(request.wsgi_environ))
        yield from readings.authorization(request.headers.get("Authorization"))


if __name__ == "__main__":
    cherrypy.config.update(
        {
            "server.socket_host": "127.0.0.1",
            "server.socket_port": int(sys.argv[1]),
            "engine.autoreload.on": False,
            "log.screen": False,
            "tools.trailing_slash.on": False,
        }
    )
    cherrypy.quickstart(Root())
