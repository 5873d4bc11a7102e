"""What aiohttp recognises. usage: aiohttp_app.py PORT"""

import sys

import readings
from aiohttp import BasicAuth, web


def basic(value):
    try:
        return BasicAuth.decode(value, encoding="utf-8").login
    except ValueError:
        return None


async def respond(request):
    result = [(f"cookie.{name}", request.cookies.get(name)) for name in readings.COOKIES]
    auth = request.headers.get("Authorization", "")
    result += [
        ("session.serializer", readings.serializer(request.cookies.get("signed"))),
        ("path", request.path),
        ("key.header", request.headers.get("X-Api-Key")),
        ("key.query", request.query.get("api_key")),
        ("token.query", request.query.get("access_token")),
        ("basic.aiohttp", basic(auth)),
    ]
    result += readings.authorization(auth)
    return web.Response(body=readings.lines(result), content_type="text/plain")


app = web.Application()
app.router.add_route("*", "/{path:.*}", respond)

if __name__ == "__main__":
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None, access_log=None)
