// Reads the API's own document and lets one try each operation. Everything shown is put in as text:
// nothing of the document or of an answer becomes markup.
"use strict";

const METHODS = ["get", "post", "put", "patch", "delete", "head"];
const make = (tag, attributes = {}, ...children) => {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
};

let described = {};

// Follows `$ref` within the document.
const resolve = (schema, depth = 0) => {
  if (!schema || !schema.$ref || depth > 16) return schema || {};
  const found = schema.$ref.replace(/^#\//, "").split("/")
    .reduce((node, key) => node && node[key.replace(/~1/g, "/").replace(/~0/g, "~")], described);
  return resolve(found, depth + 1);
};

// A value of the schema's shape, to begin with.
const example = (schema, depth = 0) => {
  const known = resolve(schema);
  if (depth > 6) return null;
  if (known.example !== undefined) return known.example;
  if (known.default !== undefined) return known.default;
  if (known.enum) return known.enum[0];
  if (known.allOf) return Object.assign({}, ...known.allOf.map((part) => example(part, depth + 1)));
  const either = known.oneOf || known.anyOf;
  if (either) return example(either.find((part) => part.type !== "null") || either[0], depth + 1);
  const type = Array.isArray(known.type) ? known.type.find((name) => name !== "null") : known.type;
  if (type === "object" || known.properties) {
    const members = Object.entries(known.properties || {});
    return Object.fromEntries(members.map(([name, value]) => [name, example(value, depth + 1)]));
  }
  if (type === "array") return [example(known.items, depth + 1)];
  return { string: "", integer: 0, number: 0, boolean: false }[type] ?? null;
};

const pretty = (text) => {
  try { return JSON.stringify(JSON.parse(text), null, 2); } catch { return text; }
};

const tryIt = async (method, path, fields, content, shown) => {
  let target = path;
  const query = new URLSearchParams();
  const headers = {};
  for (const { parameter, input } of fields) {
    const value = input.value;
    if (parameter.in === "path") target = target.replace(`{${parameter.name}}`, encodeURIComponent(value));
    else if (value === "") continue;
    else if (parameter.in === "query") query.append(parameter.name, value);
    else if (parameter.in === "header") headers[parameter.name] = value;
  }
  if (String(query)) target += `?${query}`;
  const token = document.getElementById("token").value.trim();
  if (token) headers.Authorization = `Bearer ${token}`;
  const options = { method: method.toUpperCase(), headers, cache: "no-store" };
  if (content && content.value.trim()) {
    headers["Content-Type"] = content.dataset.type;
    options.body = content.value;
  }
  shown.textContent = "…";
  const began = performance.now();
  try {
    const answer = await fetch(target, options);
    const took = Math.round(performance.now() - began);
    const lines = [`${answer.status} ${answer.statusText} · ${took} ms`];
    answer.headers.forEach((value, name) => lines.push(`${name}: ${value}`));
    shown.textContent = `${lines.join("\n")}\n\n${pretty(await answer.text())}`;
  } catch (error) {
    shown.textContent = String(error);
  }
};

const fill = (inside, method, path, operation, shared) => {
  if (operation.description) inside.append(make("div", {}, operation.description));
  const needs = (operation.security || []).flatMap((entry) => Object.keys(entry));
  if (needs.length) inside.append(make("div", { class: "muted" }, `Needs: ${needs.join(" or ")}`));
  const fields = [...shared, ...(operation.parameters || [])].map((given) => {
    const parameter = resolve(given);
    const schema = resolve(parameter.schema);
    const input = make("input", { placeholder: schema.format || String(schema.type || "") });
    const name = `${parameter.name}${parameter.required ? " *" : ""} (${parameter.in})`;
    return { parameter, input, label: make("label", {}, name, input) };
  });
  if (fields.length) inside.append(make("div", { class: "parameters" }, ...fields.map((field) => field.label)));
  const body = resolve(operation.requestBody).content || {};
  const [type] = Object.keys(body);
  let content = null;
  if (type) {
    content = make("textarea", { "data-type": type, spellcheck: "false" });
    content.value = JSON.stringify(example(body[type].schema), null, 2);
    inside.append(make("label", {}, type, content));
  }
  const shown = make("pre", { "aria-live": "polite" });
  const button = make("button", { type: "button" }, "Send");
  button.addEventListener("click", () => tryIt(method, path, fields, content, shown));
  const answers = Object.entries(operation.responses || {})
    .map(([status, answer]) => `${status}  ${resolve(answer).description || ""}`);
  inside.append(make("pre", { class: "muted" }, answers.join("\n")), make("div", {}, button), shown);
};

const show = () => {
  const wanted = document.getElementById("find").value.toLowerCase();
  const groups = new Map();
  for (const [path, item] of Object.entries(described.paths || {})) {
    for (const method of METHODS.filter((name) => item[name])) {
      const operation = item[method];
      const text = `${method} ${path} ${operation.summary || ""}`.toLowerCase();
      if (!text.includes(wanted)) continue;
      const details = make("details", {}, make("summary", {},
        make("span", { class: `method ${method.toUpperCase()}` }, method.toUpperCase()),
        make("code", {}, path), make("span", { class: "muted" }, operation.summary || "")));
      details.addEventListener("toggle", () => {
        if (details.children.length > 1) return;
        const inside = make("div", { class: "inside" });
        fill(inside, method, path, operation, item.parameters || []);
        details.append(inside);
      });
      const tag = (operation.tags || ["other"])[0];
      groups.set(tag, [...(groups.get(tag) || []), details]);
    }
  }
  const sections = [...groups].map(([tag, list]) => make("section", {}, make("h2", {}, tag), ...list));
  const empty = make("p", { class: "muted" }, "No operation fits.");
  document.getElementById("operations").replaceChildren(...(sections.length ? sections : [empty]));
};

fetch("v1/openapi.json").then((answer) => answer.json()).then((found) => {
  described = found;
  const { title = "API", version = "" } = found.info || {};
  document.getElementById("about").textContent = `${title} ${version} · OpenAPI ${found.openapi}`;
  document.getElementById("find").addEventListener("input", show);
  show();
}).catch((error) => { document.getElementById("about").textContent = `No document: ${error}`; });
