"""What Tornado recognises. usage: tornado_app.py PORT"""

import logging
import sys

import readings
import tornado.ioloop
import tornado.web


class Readings(tornado.web.RequestHandler):
    def get(self):
        self.set_header("Content-Type", "text/plain")
        self.write(readings.lines(self.read()))

    def read(self):
        for name in readings.COOKIES:
            yield f"cookie.{name}", self.get_cookie(name)
        yield "session.serializer", readings.serializer(self.get_cookie("signed"))
        yield "path", self.request.path
        yield "key.header", self.request.headers.get("X-Api-Key")
        yield "key.query", self.get_query_argument("api_key", None)
        yield "token.query", self.get_query_argument("access_token", None)
        yield from readings.authorization(self.request.headers.get("Authorization"))


if __name__ == "__main__":
    logging.getLogger("tornado").setLevel(logging.CRITICAL)
    tornado.web.Application([(r".*", Readings)]).listen(int(sys.argv[1]), "127.0.0.1")
    tornado.ioloop.IOLoop.current().start()
