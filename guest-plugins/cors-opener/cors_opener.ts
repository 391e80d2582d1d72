// Lets pages of any origin read answers, for development: it answers CORS preflights in
// the server's place and sets the headers that browsers ask for.
//
// [config]: `origins` (a list of globs, default all), `max_age_s` (default 600).

import {
  CONTINUE,
  ERROR,
  RESPOND,
  Status,
  getConfig,
  getHeaderValues,
  getMethod,
  getRequestHeader,
  items,
  list,
  listHeaders,
  respond,
  setHeader,
  text,
} from "../sdk-assemblyscript/int3rceptor";

let globs: string[] = ["*"];
let maxAge = "600";

export function plugin_init(): i32 {
  const origins = getConfig("origins");
  if (origins !== null) globs = text(origins).split("\n");
  const age = getConfig("max_age_s");
  if (age !== null) maxAge = text(age);
  return CONTINUE;
}

/** Whether the text fits the glob, where * is any run of characters. */
function fits(glob: string, value: string): bool {
  let g = 0;
  let v = 0;
  let star = -1;
  let taken = 0;
  while (v < value.length) {
    if (g < glob.length && glob.charCodeAt(g) == 0x2a) {
      star = g++;
      taken = v;
    } else if (g < glob.length && glob.charCodeAt(g) == value.charCodeAt(v)) {
      g++;
      v++;
    } else if (star >= 0) {
      g = star + 1;
      v = ++taken;
    } else {
      return false;
    }
  }
  while (g < glob.length && glob.charCodeAt(g) == 0x2a) g++;
  return g == glob.length;
}

/** The Origin of the request, if it is one that is let in; else "". */
function origin(): string {
  const value = text(getRequestHeader("origin"));
  for (let at = 0; at < globs.length; at++) {
    if (fits(globs[at], value)) return value;
  }
  return "";
}

/** A preflight is answered here; the server may never have heard of OPTIONS. */
export function on_request(): i32 {
  if (text(getMethod()) != "OPTIONS") return CONTINUE;
  const method = text(getRequestHeader("access-control-request-method"));
  const from = origin();
  if (method == "" || from == "") return CONTINUE;
  const fields = [
    "Access-Control-Allow-Origin", from,
    "Access-Control-Allow-Credentials", "true",
    "Access-Control-Allow-Methods", method,
    "Access-Control-Max-Age", maxAge,
    "Vary", "Origin, Access-Control-Request-Method, Access-Control-Request-Headers",
  ];
  const headers = text(getRequestHeader("access-control-request-headers"));
  if (headers != "") {
    fields.push("Access-Control-Allow-Headers");
    fields.push(headers);
  }
  return respond(204, list(fields), "") == Status.OK ? RESPOND : ERROR;
}

/** The names of the answer's fields: with credentials, `*` would mean a field named so. */
function names(): string {
  const found: string[] = [];
  const fields = items(listHeaders());
  for (let at = 0; at < fields.length; at += 2) {
    const name = text(fields[at]).toLowerCase();
    if (name != "set-cookie" && !found.includes(name)) found.push(name);
  }
  return found.join(", ");
}

/** What the answer depends on already, in lower case. */
function varies(): string[] {
  const found: string[] = [];
  const values = items(getHeaderValues("vary"));
  for (let at = 0; at < values.length; at++) {
    const parts = text(values[at]).toLowerCase().split(",");
    for (let part = 0; part < parts.length; part++) found.push(parts[part].trim());
  }
  return found;
}

export function on_response(): i32 {
  const from = origin();
  if (from == "") return CONTINUE;
  const vary = varies();
  let done = setHeader("Access-Control-Expose-Headers", names());
  done |= setHeader("Access-Control-Allow-Origin", from);
  done |= setHeader("Access-Control-Allow-Credentials", "true");
  if (!vary.includes("*") && !vary.includes("origin")) {
    vary.push("origin");
    done |= setHeader("Vary", vary.join(", "));
  }
  return done == Status.OK ? CONTINUE : ERROR;
}
