// What Koa recognises. usage: node koa.js PORT
"use strict";
const Koa = require("koa");
const readings = require("./readings.js");

const app = new Koa();
app.silent = true;
app.use((context) => {
  const found = readings.cookies.map((name) => [`cookie.${name}`, context.cookies.get(name)]);
  found.push(
    ["key.header", context.get("x-api-key")],
    ["key.query", context.query.api_key],
    ["token.query", context.query.access_token],
    ...readings.authorization(context.req),
  );
  context.type = "text/plain";
  context.body = readings.lines(found);
});
app.listen(Number(process.argv[2]), "127.0.0.1");
