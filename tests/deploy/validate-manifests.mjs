// Validates Kubernetes manifests against the published schemas, and reports unknown keys.
//
// usage: node tests/deploy/validate-manifests.mjs FILE...    "-" is standard input
//
// The compiled schemas accept unknown keys, as an API server does, which drops them silently. So a misspelt key would
// pass. Each document is therefore wrapped in a proxy that records the keys that a schema reads: the other keys of an
// object are unknown. An object of which no key is read has no schema, such as pluginConfig.
//
// KUBECTL_NAMESPACES names a file with the namespaces of the cluster, one a line: an object in another one is refused, as by
// an API server, and a Namespace is added for the objects after it.

import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";

const modules = resolve(new URL(".", import.meta.url).pathname, "../../.tools/schemas/node_modules");
const PACKAGES = {
  "networking.istio.io": "@kubernetes-models/istio",
  "extensions.istio.io": "@kubernetes-models/istio",
  "security.istio.io": "@kubernetes-models/istio",
  "gateway.envoyproxy.io": "@kubernetes-models/envoy-gateway",
  "monitoring.coreos.com": "@kubernetes-models/prometheus-operator",
  "gateway.networking.k8s.io": "@kubernetes-models/gateway-api",
};

if (!existsSync(modules)) {
  console.error("the schemas are missing: run tools/install schemas");
  process.exit(1);
}
const { parseAllDocuments } = await import(pathToFileURL(`${modules}/yaml/dist/index.js`));

/** The function that validates documents of this kind. */
async function validatorOf({ apiVersion, kind }) {
  const group = apiVersion.includes("/") ? apiVersion.split("/")[0] : "";
  const home = `${modules}/${PACKAGES[group] ?? "kubernetes-models"}`;
  const model = `${home}/${apiVersion}/${kind}.js`;
  if (!existsSync(model)) {
    throw new Error(`no schema for ${apiVersion} ${kind}`);
  }
  // The model does not export it, but names the file that it imports it from.
  const [schema] = /_schemas\/\w+\.js/.exec(readFileSync(model, "utf8"));
  return (await import(pathToFileURL(`${home}/${schema}`))).validate;
}

/** `value` in proxies that record in `read` which keys of which object were read. */
function watched(value, read) {
  if (value === null || typeof value !== "object") {
    return value;
  }
  const copy = Array.isArray(value) ? [] : {};
  for (const [key, inner] of Object.entries(value)) {
    copy[key] = watched(inner, read);
  }
  if (Array.isArray(copy)) {
    return copy;
  }
  const keys = new Set();
  const proxy = new Proxy(copy, {
    get(target, key) {
      keys.add(key);
      return target[key];
    },
  });
  read.set(proxy, { keys, copy });
  return proxy;
}

/** The paths of keys that no schema read. */
function* unknownKeys(proxy, read, path) {
  if (Array.isArray(proxy)) {
    for (const [index, inner] of proxy.entries()) {
      yield* unknownKeys(inner, read, `${path}/${index}`);
    }
    return;
  }
  const note = read.get(proxy);
  if (!note || note.keys.size === 0) {
    return;
  }
  for (const [key, inner] of Object.entries(note.copy)) {
    if (!note.keys.has(key)) {
      yield `${path}/${key}: no such key`;
    } else {
      yield* unknownKeys(inner, read, `${path}/${key}`);
    }
  }
}

const cluster = process.env.KUBECTL_NAMESPACES;

/** Refuses an object whose namespace does not exist yet; remembers a new namespace. */
function errorsOfNamespace({ kind, metadata }) {
  if (cluster === undefined) {
    return [];
  }
  if (kind === "Namespace") {
    appendFileSync(cluster, `${metadata.name}\n`);
    return [];
  }
  const known = readFileSync(cluster, "utf8").split("\n");
  const namespace = metadata?.namespace ?? "default";
  return known.includes(namespace) ? [] : [`namespaces "${namespace}" not found`];
}

/** What is wrong with a document, one line each. */
async function errorsOf(document) {
  const validate = await validatorOf(document);
  const read = new Map();
  const root = watched(document, read);
  const errors = validate(root) ? [] : validate.errors;
  const lines = errors.map((error) => `${error.instancePath || "/"}: ${error.keyword} ${JSON.stringify(error.params)}`);
  return [...lines, ...unknownKeys(root, read, ""), ...errorsOfNamespace(document)];
}

let count = 0;
let bad = 0;
for (const file of process.argv.slice(2)) {
  for (const parsed of parseAllDocuments(readFileSync(file === "-" ? 0 : file, "utf8"))) {
    const document = parsed.toJS();
    if (parsed.errors.length > 0 || document === null) {
      console.error(`NOT VALID: ${file}: ${parsed.errors.join("; ") || "an empty document"}`);
      bad += 1;
      continue;
    }
    const name = `${document.kind} ${document.metadata?.name}`;
    let errors;
    try {
      errors = await errorsOf(document);
    } catch (error) {
      errors = [error.message];
    }
    count += 1;
    if (errors.length > 0) {
      bad += 1;
      console.error(`NOT VALID: ${file}: ${name}\n  ${errors.join("\n  ")}`);
    } else {
      console.log(`valid: ${name}`);
    }
  }
}
if (count === 0 && bad === 0) {
  console.error("no manifest found");
  bad += 1;
}
process.exit(bad > 0 ? 1 : 0);
