// Sets a header on each response, and tags the flow of one that is an error.

import {
  CONTINUE,
  ERROR,
  Level,
  Status,
  getConfig,
  getStatus,
  log,
  setHeader,
  tag,
  text,
} from "./int3rceptor";

export function on_response(): i32 {
  if (setHeader(text(getConfig("header")), text(getConfig("value"))) != Status.OK) {
    log(Level.ERROR, "the response cannot be stamped");
    return ERROR;
  }
  if (getStatus() >= 400) tag("error");
  return CONTINUE;
}
