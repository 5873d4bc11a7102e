// What hapi recognises. usage: node hapi.js PORT
"use strict";
const Hapi = require("@hapi/hapi");
const readings = require("./readings.js");

const server = Hapi.server({ host: "127.0.0.1", port: Number(process.argv[2]), state: { strictHeader: false, ignoreErrors: true } });
// hapi decodes base64 and JSON in a cookie if that is configured; a plain one needs no configuration.
server.route({
  method: "GET",
  path: "/{path*}",
  handler: (request, h) => {
    const found = readings.cookies.map((name) => [`cookie.${name}`, request.state[name]]);
    found.push(
      ["key.header", request.headers["x-api-key"]],
      ["key.query", request.query.api_key],
      ["token.query", request.query.access_token],
      ...readings.authorization(request.raw.req),
    );
    return h.response(readings.lines(found)).type("text/plain");
  },
});
server.start();
