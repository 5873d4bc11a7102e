// What Fastify with @fastify/cookie recognises. usage: node fastify.js PORT
"use strict";
const fastify = require("fastify")();
const readings = require("./readings.js");

fastify.register(require("@fastify/cookie"));
fastify.get("/*", (request, reply) => {
  const found = readings.cookies.map((name) => [`cookie.${name}`, request.cookies[name]]);
  found.push(
    ["key.header", request.headers["x-api-key"]],
    ["key.query", request.query.api_key],
    ["token.query", request.query.access_token],
    ...readings.authorization(request.raw),
  );
  reply.type("text/plain").send(readings.lines(found));
});
fastify.listen({ host: "127.0.0.1", port: Number(process.argv[2]) });
