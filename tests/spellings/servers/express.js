// What Express with cookie-parser, passport, express-bearer-token, basic-auth and jsonwebtoken recognise.
// usage: node express.js PORT
"use strict";
const express = require("express");
const cookieParser = require("cookie-parser");
const bearerToken = require("express-bearer-token");
const passport = require("passport");
const { Strategy } = require("passport-http-bearer");
const readings = require("./readings.js");

const app = express();
// Express 4's default, which reads name[] too.
app.set("query parser", "extended");
app.disable("x-powered-by");
app.use(cookieParser());
// It ends the response itself if a request has several tokens; here the other readings must run too.
const read = bearerToken({ cookie: { key: "token" } });
app.use((request, _, next) => read(request, { status: () => ({ send: next, end: next }) }, next));
passport.use(new Strategy((token, done) => done(null, { token })));
app.use((request, response, next) =>
  passport.authenticate("bearer", { session: false }, (_, user) => {
    request.passport = user ? user.token : undefined;
    next();
  })(request, response, next));
app.use((request, response) => {
  const found = [];
  for (const name of readings.cookies) found.push([`cookie.${name}`, request.cookies[name]]);
  found.push(
    ["auth.passport", request.passport],
    ["auth.express_bearer_token", request.token],
    ["path", request.path],
    ["key.header", request.get("x-api-key")],
    ["key.query", request.query.api_key],
    ["token.query", request.query.access_token],
    ...readings.authorization(request),
  );
  response.type("text/plain").send(readings.lines(found));
});
app.use((_error, _request, response, _next) => response.status(400).end());
app.listen(Number(process.argv[2]), "127.0.0.1");
