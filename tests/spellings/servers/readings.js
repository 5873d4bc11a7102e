// How programs under Node.js read an Authorization header, and the shape of a response. Every Node.js server uses these.
"use strict";
const path = require("path");
const basicAuth = require("basic-auth");
const jwt = require("jsonwebtoken");
const keys = require(path.join(__dirname, "keys.json"));

const verifiers = { HS256: keys.hs256, RS256: keys.rs256_public, ES256: keys.es256_public };

exports.cookies = ["S", "T", "E", "app.sid", "JSESSIONID", "token"];

// One line for each reading that found something: its name, a space, the value. Of a list, the first element counts.
exports.lines = (found) =>
  found
    .map(([name, value]) => [name, Array.isArray(value) ? value[0] : value])
    .filter(([, value]) => value)
    .map(([name, value]) => `${name} ${JSON.stringify(value)}\n`)
    .join("");

exports.verify = (token) => {
  try {
    const algorithm = jwt.decode(token, { complete: true }).header.alg;
    return jwt.verify(token, verifiers[algorithm], { algorithms: [algorithm] }).jti;
  } catch {
    return undefined;
  }
};

exports.authorization = (request) => {
  const value = request.headers.authorization || "";
  const words = value.split(" ");
  const behind = /bearer\s+(\S+)/i.exec(value);
  const user = basicAuth(request);
  return [
    ["auth.split_1", words[1]],
    ["auth.split_last", words.at(-1)],
    ["auth.replace", value.replace("Bearer ", "").trim()],
    ["auth.exec", behind && behind[1]],
    ["basic.basic-auth", user && user.name],
    ["basic.buffer", /^basic /i.test(value) && Buffer.from(value.slice(6), "base64").toString().split(":")[0]],
    ["jwt.jsonwebtoken", exports.verify(value.split(/\s+/).at(-1))],
  ];
};
