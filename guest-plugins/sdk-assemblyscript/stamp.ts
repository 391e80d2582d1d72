// header-stamp in AssemblyScript: sets one header on every request and response.
// [config]: `header` (default x-int3rceptor) and `value` (default header-stamp).

import { CONTINUE, ERROR, Level, Status, getConfig, log, setHeader, text } from "./int3rceptor";

function setting(key: string, fallback: string): string {
  const value = getConfig(key);
  return value === null ? fallback : text(value);
}

function stamp(): i32 {
  const name = setting("header", "x-int3rceptor");
  if (setHeader(name, setting("value", "header-stamp")) == Status.OK) return CONTINUE;
  log(Level.ERROR, "the configured header cannot be set");
  return ERROR;
}

export function plugin_init(): i32 {
  log(Level.INFO, "header-stamp ready");
  return CONTINUE;
}

export function on_request(): i32 {
  return stamp();
}

export function on_response(): i32 {
  return stamp();
}
