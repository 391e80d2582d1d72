// INT3RCEPTOR's host functions for AssemblyScript.
// Written by int3rceptor.plugins.authoring.bindings.
//
//   export function on_request(): i32 {
//     return setHeader("x-seen", "yes") == Status.OK ? CONTINUE : ERROR;
//   }
//
// What is handed in may be a string (sent as UTF-8) or an ArrayBuffer. What is read comes
// as an ArrayBuffer, or null with the reason in `status`; `text` makes a string of it.

/** What a hook returns. */
export const CONTINUE: i32 = 0;
export const RESPOND: i32 = 1;
export const DROP: i32 = 2;
export const ERROR: i32 = -1;

/** What a host function answers. */
export enum Status {
  OK = 0,
  NOT_FOUND = -1,
  BAD_POINTER = -2,
  BAD_ARGUMENT = -3,
  WRONG_HOOK = -4,
  NO_PERMISSION = -5,
  PROTECTED = -6,
  TOO_LARGE = -7,
  TOO_DEEP = -8,
  UNREACHABLE = -9,
}

/** The levels of `log`. */
export enum Level {
  DEBUG = 0,
  INFO = 1,
  WARN = 2,
  ERROR = 3,
}

/** What the last function answered that reads, or says yes or no. */
export let status: i32 = Status.OK;

export namespace raw {
  @external("env", "host_log")
  export declare function host_log(level: i32, ptr: usize, len: usize): i32;

  @external("env", "host_get_memory_size")
  export declare function host_get_memory_size(): i32;

  @external("env", "host_abort")
  export declare function host_abort(ptr: usize, len: usize): i32;

  @external("env", "host_get_header")
  export declare function host_get_header(name_ptr: usize, name_len: usize, val_ptr: usize, val_max: usize): i32;

  @external("env", "host_set_header")
  export declare function host_set_header(name_ptr: usize, name_len: usize, val_ptr: usize, val_len: usize): i32;

  @external("env", "host_get_method")
  export declare function host_get_method(buf_ptr: usize, max_len: usize): i32;

  @external("env", "host_get_url")
  export declare function host_get_url(buf_ptr: usize, buf_len: usize): i32;

  @external("env", "host_get_scheme")
  export declare function host_get_scheme(buf_ptr: usize, buf_len: usize): i32;

  @external("env", "host_get_host")
  export declare function host_get_host(buf_ptr: usize, buf_len: usize): i32;

  @external("env", "host_get_port")
  export declare function host_get_port(): i32;

  @external("env", "host_get_path")
  export declare function host_get_path(buf_ptr: usize, buf_len: usize): i32;

  @external("env", "host_get_version")
  export declare function host_get_version(buf_ptr: usize, buf_len: usize): i32;

  @external("env", "host_get_client_addr")
  export declare function host_get_client_addr(buf_ptr: usize, buf_len: usize): i32;

  @external("env", "host_get_sni")
  export declare function host_get_sni(buf_ptr: usize, buf_len: usize): i32;

  @external("env", "host_get_connect_host")
  export declare function host_get_connect_host(buf_ptr: usize, buf_len: usize): i32;

  @external("env", "host_get_rule")
  export declare function host_get_rule(buf_ptr: usize, buf_len: usize): i32;

  @external("env", "host_get_request_header")
  export declare function host_get_request_header(name_ptr: usize, name_len: usize, buf_ptr: usize, buf_len: usize): i32;

  @external("env", "host_get_header_values")
  export declare function host_get_header_values(name_ptr: usize, name_len: usize, buf_ptr: usize, buf_len: usize): i32;

  @external("env", "host_list_headers")
  export declare function host_list_headers(buf_ptr: usize, buf_len: usize): i32;

  @external("env", "host_list_request_headers")
  export declare function host_list_request_headers(buf_ptr: usize, buf_len: usize): i32;

  @external("env", "host_get_status")
  export declare function host_get_status(): i32;

  @external("env", "host_get_body")
  export declare function host_get_body(buf_ptr: usize, buf_len: usize): i32;

  @external("env", "host_get_trailer")
  export declare function host_get_trailer(name_ptr: usize, name_len: usize, buf_ptr: usize, buf_len: usize): i32;

  @external("env", "host_list_trailers")
  export declare function host_list_trailers(buf_ptr: usize, buf_len: usize): i32;

  @external("env", "host_get_fact")
  export declare function host_get_fact(name_ptr: usize, name_len: usize, buf_ptr: usize, buf_len: usize): i32;

  @external("env", "host_add_header")
  export declare function host_add_header(name_ptr: usize, name_len: usize, val_ptr: usize, val_len: usize): i32;

  @external("env", "host_remove_header")
  export declare function host_remove_header(name_ptr: usize, name_len: usize): i32;

  @external("env", "host_set_method")
  export declare function host_set_method(val_ptr: usize, val_len: usize): i32;

  @external("env", "host_set_path")
  export declare function host_set_path(val_ptr: usize, val_len: usize): i32;

  @external("env", "host_set_status")
  export declare function host_set_status(status: i32): i32;

  @external("env", "host_set_body")
  export declare function host_set_body(val_ptr: usize, val_len: usize): i32;

  @external("env", "host_set_request_header")
  export declare function host_set_request_header(name_ptr: usize, name_len: usize, val_ptr: usize, val_len: usize): i32;

  @external("env", "host_add_request_header")
  export declare function host_add_request_header(name_ptr: usize, name_len: usize, val_ptr: usize, val_len: usize): i32;

  @external("env", "host_remove_request_header")
  export declare function host_remove_request_header(name_ptr: usize, name_len: usize): i32;

  @external("env", "host_get_request_body")
  export declare function host_get_request_body(buf_ptr: usize, buf_len: usize): i32;

  @external("env", "host_set_request_body")
  export declare function host_set_request_body(val_ptr: usize, val_len: usize): i32;

  @external("env", "host_set_trailer")
  export declare function host_set_trailer(name_ptr: usize, name_len: usize, val_ptr: usize, val_len: usize): i32;

  @external("env", "host_add_trailer")
  export declare function host_add_trailer(name_ptr: usize, name_len: usize, val_ptr: usize, val_len: usize): i32;

  @external("env", "host_remove_trailer")
  export declare function host_remove_trailer(name_ptr: usize, name_len: usize): i32;

  @external("env", "host_list_request_trailers")
  export declare function host_list_request_trailers(buf_ptr: usize, buf_len: usize): i32;

  @external("env", "host_set_request_trailer")
  export declare function host_set_request_trailer(name_ptr: usize, name_len: usize, val_ptr: usize, val_len: usize): i32;

  @external("env", "host_add_request_trailer")
  export declare function host_add_request_trailer(name_ptr: usize, name_len: usize, val_ptr: usize, val_len: usize): i32;

  @external("env", "host_remove_request_trailer")
  export declare function host_remove_request_trailer(name_ptr: usize, name_len: usize): i32;

  @external("env", "host_respond")
  export declare function host_respond(status: i32, headers_ptr: usize, headers_len: usize, body_ptr: usize, body_len: usize): i32;

  @external("env", "host_drop")
  export declare function host_drop(): i32;

  @external("env", "host_delay")
  export declare function host_delay(ms: i32): i32;

  @external("env", "host_get_config")
  export declare function host_get_config(key_ptr: usize, key_len: usize, buf_ptr: usize, buf_len: usize): i32;

  @external("env", "host_now_ms")
  export declare function host_now_ms(): i64;

  @external("env", "host_random")
  export declare function host_random(buf_ptr: usize, buf_len: usize): i32;

  @external("env", "host_get_chunk")
  export declare function host_get_chunk(buf_ptr: usize, buf_len: usize): i32;

  @external("env", "host_set_chunk")
  export declare function host_set_chunk(val_ptr: usize, val_len: usize): i32;

  @external("env", "host_is_last_chunk")
  export declare function host_is_last_chunk(): i32;

  @external("env", "host_get_event_field")
  export declare function host_get_event_field(name_ptr: usize, name_len: usize, buf_ptr: usize, buf_len: usize): i32;

  @external("env", "host_set_event_field")
  export declare function host_set_event_field(name_ptr: usize, name_len: usize, val_ptr: usize, val_len: usize): i32;

  @external("env", "host_decode_body")
  export declare function host_decode_body(): i32;

  @external("env", "host_set_url")
  export declare function host_set_url(url_ptr: usize, url_len: usize): i32;

  @external("env", "host_set_upstream")
  export declare function host_set_upstream(host_ptr: usize, host_len: usize, port: i32): i32;

  @external("env", "host_pass_through")
  export declare function host_pass_through(): i32;

  @external("env", "host_list_tags")
  export declare function host_list_tags(buf_ptr: usize, buf_len: usize): i32;

  @external("env", "host_tag")
  export declare function host_tag(val_ptr: usize, val_len: usize): i32;

  @external("env", "host_remove_tag")
  export declare function host_remove_tag(val_ptr: usize, val_len: usize): i32;

  @external("env", "host_kv_get")
  export declare function host_kv_get(key_ptr: usize, key_len: usize, buf_ptr: usize, buf_len: usize): i32;

  @external("env", "host_kv_set")
  export declare function host_kv_set(key_ptr: usize, key_len: usize, val_ptr: usize, val_len: usize): i32;

  @external("env", "host_kv_add")
  export declare function host_kv_add(key_ptr: usize, key_len: usize, delta: i32): i64;

  @external("env", "host_kv_expire")
  export declare function host_kv_expire(key_ptr: usize, key_len: usize, ms: i32): i32;

  @external("env", "host_kv_delete")
  export declare function host_kv_delete(key_ptr: usize, key_len: usize): i32;

  @external("env", "host_kv_list")
  export declare function host_kv_list(prefix_ptr: usize, prefix_len: usize, buf_ptr: usize, buf_len: usize): i32;

  @external("env", "host_context_get")
  export declare function host_context_get(key_ptr: usize, key_len: usize, buf_ptr: usize, buf_len: usize): i32;

  @external("env", "host_context_set")
  export declare function host_context_set(key_ptr: usize, key_len: usize, val_ptr: usize, val_len: usize): i32;

  @external("env", "host_subscribe")
  export declare function host_subscribe(topic_ptr: usize, topic_len: usize): i32;

  @external("env", "host_publish")
  export declare function host_publish(topic_ptr: usize, topic_len: usize, val_ptr: usize, val_len: usize): i32;

  @external("env", "host_get_topic")
  export declare function host_get_topic(buf_ptr: usize, buf_len: usize): i32;

  @external("env", "host_get_message")
  export declare function host_get_message(buf_ptr: usize, buf_len: usize): i32;

  @external("env", "host_get_sender")
  export declare function host_get_sender(buf_ptr: usize, buf_len: usize): i32;

  @external("env", "host_http_fetch")
  export declare function host_http_fetch(request_ptr: usize, request_len: usize, buf_ptr: usize, buf_len: usize): i32;
}

let room = new ArrayBuffer(256);

/** What was read, or null; 0 when the buffer was too small and has grown. */
function taken(answer: i32): ArrayBuffer | null {
  status = answer;
  return answer < 0 ? null : room.slice(0, answer);
}

function grown(answer: i32): bool {
  if (answer <= room.byteLength) return false;
  room = new ArrayBuffer(answer);
  return true;
}

function bytes<T>(value: T): ArrayBuffer {
  if (isString<T>()) return String.UTF8.encode(changetype<string>(value));
  return changetype<ArrayBuffer>(value);
}

function address(value: ArrayBuffer): usize {
  return changetype<usize>(value);
}

/** A string of what was read; "" for null. */
export function text(value: ArrayBuffer | null): string {
  return value === null ? "" : String.UTF8.decode(value);
}

/** Writes one UTF-8 log line; a level outside 0 to 3 counts as INFO.
 *  In: every hook, and plugin_init. */
export function log<T0>(level: Level, text: T0): void {
  const textBytes = bytes(text);
  raw.host_log(level, address(textBytes), textBytes.byteLength);
}

/** Tells the size of the module's memory.
 *  Answers: pages of 64 KiB.
 *  In: every hook, and plugin_init. */
export function getMemorySize(): i32 {
  return raw.host_get_memory_size();
}

/** Writes an ABORT line to the log; it stops nothing.
 *  In: every hook, and plugin_init. */
export function abort<T0>(text: T0): void {
  const textBytes = bytes(text);
  raw.host_abort(address(textBytes), textBytes.byteLength);
}

/** Reads the first value of a header of the hook's message.
 *  Answers: the value.
 *  Errors: NOT_FOUND.
 *  In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message. */
export function getHeader<T0>(name: T0): ArrayBuffer | null {
  const nameBytes = bytes(name);
  let answer = raw.host_get_header(address(nameBytes), nameBytes.byteLength, address(room), room.byteLength);
  if (grown(answer)) answer = raw.host_get_header(address(nameBytes), nameBytes.byteLength, address(room), room.byteLength);
  return taken(answer);
}

/** Sets a header: replaces the first of this name and drops the others.
 *  Errors: NOT_FOUND.
 *  In: on_request, on_rule_match, on_response, on_capture. */
export function setHeader<T0, T1>(name: T0, val: T1): Status {
  const nameBytes = bytes(name);
  const valBytes = bytes(val);
  return raw.host_set_header(address(nameBytes), nameBytes.byteLength, address(valBytes), valBytes.byteLength);
}

/** Reads the request's method.
 *  Answers: the value.
 *  Errors: NOT_FOUND.
 *  In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message. */
export function getMethod(): ArrayBuffer | null {
  let answer = raw.host_get_method(address(room), room.byteLength);
  if (grown(answer)) answer = raw.host_get_method(address(room), room.byteLength);
  return taken(answer);
}

/** Reads the request's URL.
 *  Answers: the value.
 *  Errors: BAD_POINTER, WRONG_HOOK, NO_PERMISSION.
 *  In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message. */
export function getUrl(): ArrayBuffer | null {
  let answer = raw.host_get_url(address(room), room.byteLength);
  if (grown(answer)) answer = raw.host_get_url(address(room), room.byteLength);
  return taken(answer);
}

/** Reads http or https.
 *  Answers: the value.
 *  Errors: BAD_POINTER, WRONG_HOOK, NO_PERMISSION.
 *  In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message. */
export function getScheme(): ArrayBuffer | null {
  let answer = raw.host_get_scheme(address(room), room.byteLength);
  if (grown(answer)) answer = raw.host_get_scheme(address(room), room.byteLength);
  return taken(answer);
}

/** Reads the host that the request goes to.
 *  Answers: the value.
 *  Errors: BAD_POINTER, WRONG_HOOK, NO_PERMISSION.
 *  In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message. */
export function getHost(): ArrayBuffer | null {
  let answer = raw.host_get_host(address(room), room.byteLength);
  if (grown(answer)) answer = raw.host_get_host(address(room), room.byteLength);
  return taken(answer);
}

/** Tells the port that the request goes to.
 *  Answers: the port.
 *  Errors: WRONG_HOOK, NO_PERMISSION.
 *  In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message. */
export function getPort(): i32 {
  return raw.host_get_port();
}

/** Reads path and query, byte for byte as received.
 *  Answers: the value.
 *  Errors: BAD_POINTER, WRONG_HOOK, NO_PERMISSION.
 *  In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message. */
export function getPath(): ArrayBuffer | null {
  let answer = raw.host_get_path(address(room), room.byteLength);
  if (grown(answer)) answer = raw.host_get_path(address(room), room.byteLength);
  return taken(answer);
}

/** Reads the HTTP version of the hook's message.
 *  Answers: the value.
 *  Errors: BAD_POINTER, WRONG_HOOK, NO_PERMISSION.
 *  In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message. */
export function getVersion(): ArrayBuffer | null {
  let answer = raw.host_get_version(address(room), room.byteLength);
  if (grown(answer)) answer = raw.host_get_version(address(room), room.byteLength);
  return taken(answer);
}

/** Reads the client's ADDRESS:PORT.
 *  Answers: the value.
 *  Errors: BAD_POINTER, WRONG_HOOK, NO_PERMISSION.
 *  In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message. */
export function getClientAddr(): ArrayBuffer | null {
  let answer = raw.host_get_client_addr(address(room), room.byteLength);
  if (grown(answer)) answer = raw.host_get_client_addr(address(room), room.byteLength);
  return taken(answer);
}

/** Reads the server name of the client's TLS hello.
 *  Answers: the value.
 *  Errors: BAD_POINTER, WRONG_HOOK, NOT_FOUND, NO_PERMISSION.
 *  In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message. */
export function getSni(): ArrayBuffer | null {
  let answer = raw.host_get_sni(address(room), room.byteLength);
  if (grown(answer)) answer = raw.host_get_sni(address(room), room.byteLength);
  return taken(answer);
}

/** Reads the host that CONNECT named.
 *  Answers: the value.
 *  Errors: BAD_POINTER, WRONG_HOOK, NOT_FOUND, NO_PERMISSION.
 *  In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message. */
export function getConnectHost(): ArrayBuffer | null {
  let answer = raw.host_get_connect_host(address(room), room.byteLength);
  if (grown(answer)) answer = raw.host_get_connect_host(address(room), room.byteLength);
  return taken(answer);
}

/** Reads the name of the rule that matched.
 *  Answers: the value.
 *  Errors: BAD_POINTER, WRONG_HOOK, NOT_FOUND, NO_PERMISSION.
 *  In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message. */
export function getRule(): ArrayBuffer | null {
  let answer = raw.host_get_rule(address(room), room.byteLength);
  if (grown(answer)) answer = raw.host_get_rule(address(room), room.byteLength);
  return taken(answer);
}

/** Reads the first value of a header of the request, in any hook.
 *  Answers: the value.
 *  Errors: NOT_FOUND, BAD_POINTER, WRONG_HOOK, NO_PERMISSION.
 *  In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message. */
export function getRequestHeader<T0>(name: T0): ArrayBuffer | null {
  const nameBytes = bytes(name);
  let answer = raw.host_get_request_header(address(nameBytes), nameBytes.byteLength, address(room), room.byteLength);
  if (grown(answer)) answer = raw.host_get_request_header(address(nameBytes), nameBytes.byteLength, address(room), room.byteLength);
  return taken(answer);
}

/** Reads every value of a header of the hook's message.
 *  Answers: a list.
 *  Errors: NOT_FOUND, BAD_POINTER, WRONG_HOOK, NO_PERMISSION.
 *  In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message. */
export function getHeaderValues<T0>(name: T0): ArrayBuffer | null {
  const nameBytes = bytes(name);
  let answer = raw.host_get_header_values(address(nameBytes), nameBytes.byteLength, address(room), room.byteLength);
  if (grown(answer)) answer = raw.host_get_header_values(address(nameBytes), nameBytes.byteLength, address(room), room.byteLength);
  return taken(answer);
}

/** Reads all headers of the hook's message: name, value, name, value.
 *  Answers: a list.
 *  Errors: NOT_FOUND, BAD_POINTER, WRONG_HOOK, NO_PERMISSION.
 *  In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message. */
export function listHeaders(): ArrayBuffer | null {
  let answer = raw.host_list_headers(address(room), room.byteLength);
  if (grown(answer)) answer = raw.host_list_headers(address(room), room.byteLength);
  return taken(answer);
}

/** Reads all headers of the request, in any hook.
 *  Answers: a list.
 *  Errors: BAD_POINTER, WRONG_HOOK, NO_PERMISSION.
 *  In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message. */
export function listRequestHeaders(): ArrayBuffer | null {
  let answer = raw.host_list_request_headers(address(room), room.byteLength);
  if (grown(answer)) answer = raw.host_list_request_headers(address(room), room.byteLength);
  return taken(answer);
}

/** Tells the response's status.
 *  Answers: the status.
 *  Errors: NOT_FOUND, WRONG_HOOK, NO_PERMISSION.
 *  In: on_response, on_capture, on_response_chunk, on_sse_event, on_websocket_message. */
export function getStatus(): i32 {
  return raw.host_get_status();
}

/** Reads the whole body of the hook's message, as it is on the wire.
 *  Answers: the value.
 *  Errors: NOT_FOUND, BAD_POINTER, WRONG_HOOK, TOO_LARGE, NO_PERMISSION.
 *  In: on_request, on_response, on_capture. */
export function getBody(): ArrayBuffer | null {
  let answer = raw.host_get_body(address(room), room.byteLength);
  if (grown(answer)) answer = raw.host_get_body(address(room), room.byteLength);
  return taken(answer);
}

/** Reads the first value of a trailer.
 *  Answers: the value.
 *  Errors: NOT_FOUND, BAD_POINTER, WRONG_HOOK, TOO_LARGE, NO_PERMISSION.
 *  In: on_request, on_response, on_capture, on_request_chunk, on_response_chunk. */
export function getTrailer<T0>(name: T0): ArrayBuffer | null {
  const nameBytes = bytes(name);
  let answer = raw.host_get_trailer(address(nameBytes), nameBytes.byteLength, address(room), room.byteLength);
  if (grown(answer)) answer = raw.host_get_trailer(address(nameBytes), nameBytes.byteLength, address(room), room.byteLength);
  return taken(answer);
}

/** Reads all trailers: name, value, name, value.
 *  Answers: a list.
 *  Errors: NOT_FOUND, BAD_POINTER, WRONG_HOOK, TOO_LARGE, NO_PERMISSION.
 *  In: on_request, on_response, on_capture, on_request_chunk, on_response_chunk. */
export function listTrailers(): ArrayBuffer | null {
  let answer = raw.host_list_trailers(address(room), room.byteLength);
  if (grown(answer)) answer = raw.host_list_trailers(address(room), room.byteLength);
  return taken(answer);
}

/** Reads a fact by its name, as text; BAD_ARGUMENT: there is no such fact.
 *  Answers: the value.
 *  Errors: NOT_FOUND, BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, NO_PERMISSION.
 *  In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message. */
export function getFact<T0>(name: T0): ArrayBuffer | null {
  const nameBytes = bytes(name);
  let answer = raw.host_get_fact(address(nameBytes), nameBytes.byteLength, address(room), room.byteLength);
  if (grown(answer)) answer = raw.host_get_fact(address(nameBytes), nameBytes.byteLength, address(room), room.byteLength);
  return taken(answer);
}

/** Appends a header, keeping those of the same name.
 *  Errors: BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, PROTECTED, TOO_LARGE, NO_PERMISSION.
 *  In: on_request, on_rule_match, on_response, on_capture. */
export function addHeader<T0, T1>(name: T0, val: T1): Status {
  const nameBytes = bytes(name);
  const valBytes = bytes(val);
  return raw.host_add_header(address(nameBytes), nameBytes.byteLength, address(valBytes), valBytes.byteLength);
}

/** Drops every header of this name.
 *  Answers: the number dropped.
 *  Errors: BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, PROTECTED, TOO_LARGE, NO_PERMISSION.
 *  In: on_request, on_rule_match, on_response, on_capture. */
export function removeHeader<T0>(name: T0): i32 {
  const nameBytes = bytes(name);
  return raw.host_remove_header(address(nameBytes), nameBytes.byteLength);
}

/** Sets the method; never from or to CONNECT or HEAD.
 *  Errors: BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, NO_PERMISSION.
 *  In: on_request, on_rule_match. */
export function setMethod<T0>(val: T0): Status {
  const valBytes = bytes(val);
  return raw.host_set_method(address(valBytes), valBytes.byteLength);
}

/** Sets path and query; begins with /.
 *  Errors: BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, NO_PERMISSION.
 *  In: on_request, on_rule_match, on_capture. */
export function setPath<T0>(val: T0): Status {
  const valBytes = bytes(val);
  return raw.host_set_path(address(valBytes), valBytes.byteLength);
}

/** Sets the status (200 to 599); never from or to one that has no body.
 *  Errors: BAD_ARGUMENT, WRONG_HOOK, NO_PERMISSION.
 *  In: on_response. */
export function setStatus(status: u16): Status {
  return raw.host_set_status(status);
}

/** Replaces the body of the hook's message.
 *  Errors: NOT_FOUND, BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, TOO_LARGE, NO_PERMISSION.
 *  In: on_request, on_response, on_capture. */
export function setBody<T0>(val: T0): Status {
  const valBytes = bytes(val);
  return raw.host_set_body(address(valBytes), valBytes.byteLength);
}

/** Sets a header of the request: replaces the first of this name and drops the others.
 *  Errors: BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, PROTECTED, TOO_LARGE, NO_PERMISSION.
 *  In: on_request, on_rule_match, on_capture. */
export function setRequestHeader<T0, T1>(name: T0, val: T1): Status {
  const nameBytes = bytes(name);
  const valBytes = bytes(val);
  return raw.host_set_request_header(address(nameBytes), nameBytes.byteLength, address(valBytes), valBytes.byteLength);
}

/** Appends a header of the request, keeping those of the same name.
 *  Errors: BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, PROTECTED, TOO_LARGE, NO_PERMISSION.
 *  In: on_request, on_rule_match, on_capture. */
export function addRequestHeader<T0, T1>(name: T0, val: T1): Status {
  const nameBytes = bytes(name);
  const valBytes = bytes(val);
  return raw.host_add_request_header(address(nameBytes), nameBytes.byteLength, address(valBytes), valBytes.byteLength);
}

/** Drops every header of the request of this name.
 *  Answers: the number dropped.
 *  Errors: BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, PROTECTED, TOO_LARGE, NO_PERMISSION.
 *  In: on_request, on_rule_match, on_capture. */
export function removeRequestHeader<T0>(name: T0): i32 {
  const nameBytes = bytes(name);
  return raw.host_remove_request_header(address(nameBytes), nameBytes.byteLength);
}

/** Reads the whole body of the request, as it is on the wire.
 *  Answers: the value.
 *  Errors: BAD_POINTER, WRONG_HOOK, TOO_LARGE, NO_PERMISSION.
 *  In: on_request, on_response, on_capture. */
export function getRequestBody(): ArrayBuffer | null {
  let answer = raw.host_get_request_body(address(room), room.byteLength);
  if (grown(answer)) answer = raw.host_get_request_body(address(room), room.byteLength);
  return taken(answer);
}

/** Replaces the body of the request.
 *  Errors: BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, TOO_LARGE, NO_PERMISSION.
 *  In: on_request, on_capture. */
export function setRequestBody<T0>(val: T0): Status {
  const valBytes = bytes(val);
  return raw.host_set_request_body(address(valBytes), valBytes.byteLength);
}

/** Sets a trailer of the hook's message: replaces the first of this name and drops the others.
 *  Errors: NOT_FOUND, BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, PROTECTED, TOO_LARGE, NO_PERMISSION.
 *  In: on_request, on_response, on_capture. */
export function setTrailer<T0, T1>(name: T0, val: T1): Status {
  const nameBytes = bytes(name);
  const valBytes = bytes(val);
  return raw.host_set_trailer(address(nameBytes), nameBytes.byteLength, address(valBytes), valBytes.byteLength);
}

/** Appends a trailer of the hook's message, keeping those of the same name.
 *  Errors: NOT_FOUND, BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, PROTECTED, TOO_LARGE, NO_PERMISSION.
 *  In: on_request, on_response, on_capture. */
export function addTrailer<T0, T1>(name: T0, val: T1): Status {
  const nameBytes = bytes(name);
  const valBytes = bytes(val);
  return raw.host_add_trailer(address(nameBytes), nameBytes.byteLength, address(valBytes), valBytes.byteLength);
}

/** Drops every trailer of the hook's message of this name.
 *  Answers: the number dropped.
 *  Errors: NOT_FOUND, BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, PROTECTED, TOO_LARGE, NO_PERMISSION.
 *  In: on_request, on_response, on_capture. */
export function removeTrailer<T0>(name: T0): i32 {
  const nameBytes = bytes(name);
  return raw.host_remove_trailer(address(nameBytes), nameBytes.byteLength);
}

/** Reads all trailers of the request.
 *  Answers: a list.
 *  Errors: BAD_POINTER, WRONG_HOOK, TOO_LARGE, NO_PERMISSION.
 *  In: on_request, on_response, on_capture. */
export function listRequestTrailers(): ArrayBuffer | null {
  let answer = raw.host_list_request_trailers(address(room), room.byteLength);
  if (grown(answer)) answer = raw.host_list_request_trailers(address(room), room.byteLength);
  return taken(answer);
}

/** Sets a trailer of the request: replaces the first of this name and drops the others.
 *  Errors: NOT_FOUND, BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, PROTECTED, TOO_LARGE, NO_PERMISSION.
 *  In: on_request, on_capture. */
export function setRequestTrailer<T0, T1>(name: T0, val: T1): Status {
  const nameBytes = bytes(name);
  const valBytes = bytes(val);
  return raw.host_set_request_trailer(address(nameBytes), nameBytes.byteLength, address(valBytes), valBytes.byteLength);
}

/** Appends a trailer of the request, keeping those of the same name.
 *  Errors: NOT_FOUND, BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, PROTECTED, TOO_LARGE, NO_PERMISSION.
 *  In: on_request, on_capture. */
export function addRequestTrailer<T0, T1>(name: T0, val: T1): Status {
  const nameBytes = bytes(name);
  const valBytes = bytes(val);
  return raw.host_add_request_trailer(address(nameBytes), nameBytes.byteLength, address(valBytes), valBytes.byteLength);
}

/** Drops every trailer of the request of this name.
 *  Answers: the number dropped.
 *  Errors: NOT_FOUND, BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, PROTECTED, TOO_LARGE, NO_PERMISSION.
 *  In: on_request, on_capture. */
export function removeRequestTrailer<T0>(name: T0): i32 {
  const nameBytes = bytes(name);
  return raw.host_remove_request_trailer(address(nameBytes), nameBytes.byteLength);
}

/** Answers the client (200 to 599); headers are a list: name, value, ….
 *  Errors: BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, PROTECTED, TOO_LARGE, NO_PERMISSION.
 *  In: on_connect, on_request, on_rule_match, on_response. */
export function respond<T0, T1>(status: u16, headers: T0, body: T1): Status {
  const headersBytes = bytes(headers);
  const bodyBytes = bytes(body);
  return raw.host_respond(status, address(headersBytes), headersBytes.byteLength, address(bodyBytes), bodyBytes.byteLength);
}

/** Closes without an answer; in on_capture: does not keep the flow; of an event or a message: lets it go no further.
 *  Errors: WRONG_HOOK, NO_PERMISSION.
 *  In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message. */
export function drop(): Status {
  return raw.host_drop();
}

/** Waits after the hook, 5 minutes at most, then goes on.
 *  Errors: BAD_ARGUMENT, WRONG_HOOK, NO_PERMISSION.
 *  In: on_connect, on_request, on_rule_match, on_response. */
export function delay(ms: u32): Status {
  return raw.host_delay(ms);
}

/** Reads a key of the plugin's configuration; an empty key: all as JSON.
 *  Answers: the value.
 *  Errors: NOT_FOUND, BAD_POINTER.
 *  In: every hook, and plugin_init. */
export function getConfig<T0>(key: T0): ArrayBuffer | null {
  const keyBytes = bytes(key);
  let answer = raw.host_get_config(address(keyBytes), keyBytes.byteLength, address(room), room.byteLength);
  if (grown(answer)) answer = raw.host_get_config(address(keyBytes), keyBytes.byteLength, address(room), room.byteLength);
  return taken(answer);
}

/** Tells the time.
 *  Answers: milliseconds since 1970-01-01 UTC.
 *  Errors: NO_PERMISSION.
 *  In: every hook, and plugin_init. */
export function nowMs(): i64 {
  return raw.host_now_ms();
}

/** Fills the buffer with random bytes.
 *  Errors: BAD_POINTER, NO_PERMISSION.
 *  In: every hook, and plugin_init. */
export function random(buffer: ArrayBuffer): Status {
  return raw.host_random(address(buffer), buffer.byteLength);
}

/** Reads the chunk, 16 KiB at most; or the event's data, or the message.
 *  Answers: the value.
 *  Errors: BAD_POINTER, WRONG_HOOK, NO_PERMISSION.
 *  In: on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message. */
export function getChunk(): ArrayBuffer | null {
  let answer = raw.host_get_chunk(address(room), room.byteLength);
  if (grown(answer)) answer = raw.host_get_chunk(address(room), room.byteLength);
  return taken(answer);
}

/** Sets what goes on in the place of the chunk, the event's data or the message, 1 MiB at most; may be empty.
 *  Errors: BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, TOO_LARGE, NO_PERMISSION.
 *  In: on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message. */
export function setChunk<T0>(val: T0): Status {
  const valBytes = bytes(val);
  return raw.host_set_chunk(address(valBytes), valBytes.byteLength);
}

/** Tells whether this is the end of the body: an empty chunk after the others.
 *  Answers: 1 or 0.
 *  Errors: WRONG_HOOK, NO_PERMISSION.
 *  In: on_request_chunk, on_response_chunk. */
export function isLastChunk(): bool {
  status = raw.host_is_last_chunk();
  return status > 0;
}

/** Reads the event's `event` (its type), `id` or `retry`.
 *  Answers: the value.
 *  Errors: NOT_FOUND, BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, NO_PERMISSION.
 *  In: on_sse_event. */
export function getEventField<T0>(name: T0): ArrayBuffer | null {
  const nameBytes = bytes(name);
  let answer = raw.host_get_event_field(address(nameBytes), nameBytes.byteLength, address(room), room.byteLength);
  if (grown(answer)) answer = raw.host_get_event_field(address(nameBytes), nameBytes.byteLength, address(room), room.byteLength);
  return taken(answer);
}

/** Sets the event's `event`, `id` or `retry`.
 *  Errors: BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, TOO_LARGE, NO_PERMISSION.
 *  In: on_sse_event. */
export function setEventField<T0, T1>(name: T0, val: T1): Status {
  const nameBytes = bytes(name);
  const valBytes = bytes(val);
  return raw.host_set_event_field(address(nameBytes), nameBytes.byteLength, address(valBytes), valBytes.byteLength);
}

/** Takes the content codings off the hook's message, now and further on.
 *  Answers: the number taken off; 0: it has none.
 *  Errors: NOT_FOUND, BAD_ARGUMENT, WRONG_HOOK, PROTECTED, TOO_LARGE, NO_PERMISSION.
 *  In: on_request, on_response. */
export function decodeBody(): i32 {
  return raw.host_decode_body();
}

/** Sends the request to this http or https URL; Host follows.
 *  Errors: BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, NO_PERMISSION.
 *  In: on_request, on_rule_match. */
export function setUrl<T0>(url: T0): Status {
  const urlBytes = bytes(url);
  return raw.host_set_url(address(urlBytes), urlBytes.byteLength);
}

/** Dials this host and port in place of the origin, whose names stay.
 *  Errors: BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, NO_PERMISSION.
 *  In: on_connect. */
export function setUpstream<T0>(host: T0, port: u16): Status {
  const hostBytes = bytes(host);
  return raw.host_set_upstream(address(hostBytes), hostBytes.byteLength, port);
}

/** Relays this connection unread.
 *  Errors: WRONG_HOOK, NO_PERMISSION.
 *  In: on_connect. */
export function passThrough(): Status {
  return raw.host_pass_through();
}

/** Reads the flow's tags.
 *  Answers: a list.
 *  Errors: BAD_POINTER, WRONG_HOOK, NO_PERMISSION.
 *  In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message. */
export function listTags(): ArrayBuffer | null {
  let answer = raw.host_list_tags(address(room), room.byteLength);
  if (grown(answer)) answer = raw.host_list_tags(address(room), room.byteLength);
  return taken(answer);
}

/** Adds a UTF-8 tag to the flow.
 *  Errors: BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, TOO_LARGE, NO_PERMISSION.
 *  In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message. */
export function tag<T0>(val: T0): Status {
  const valBytes = bytes(val);
  return raw.host_tag(address(valBytes), valBytes.byteLength);
}

/** Takes away a tag that this plugin added.
 *  Errors: NOT_FOUND, BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, PROTECTED, NO_PERMISSION.
 *  In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message. */
export function removeTag<T0>(val: T0): Status {
  const valBytes = bytes(val);
  return raw.host_remove_tag(address(valBytes), valBytes.byteLength);
}

/** Reads a key of the plugin's state.
 *  Answers: the value.
 *  Errors: NOT_FOUND, BAD_POINTER, UNREACHABLE, NO_PERMISSION.
 *  In: every hook, and plugin_init. */
export function kvGet<T0>(key: T0): ArrayBuffer | null {
  const keyBytes = bytes(key);
  let answer = raw.host_kv_get(address(keyBytes), keyBytes.byteLength, address(room), room.byteLength);
  if (grown(answer)) answer = raw.host_kv_get(address(keyBytes), keyBytes.byteLength, address(room), room.byteLength);
  return taken(answer);
}

/** Keeps a value under a key, without an end.
 *  Errors: BAD_POINTER, BAD_ARGUMENT, TOO_LARGE, UNREACHABLE, NO_PERMISSION.
 *  In: every hook, and plugin_init. */
export function kvSet<T0, T1>(key: T0, val: T1): Status {
  const keyBytes = bytes(key);
  const valBytes = bytes(val);
  return raw.host_kv_set(address(keyBytes), keyBytes.byteLength, address(valBytes), valBytes.byteLength);
}

/** Adds to a number, which begins at 0 and never falls below it.
 *  Answers: the number.
 *  Errors: BAD_POINTER, BAD_ARGUMENT, TOO_LARGE, UNREACHABLE, NO_PERMISSION.
 *  In: every hook, and plugin_init. */
export function kvAdd<T0>(key: T0, delta: i32): i64 {
  const keyBytes = bytes(key);
  return raw.host_kv_add(address(keyBytes), keyBytes.byteLength, delta);
}

/** Lets a key end that long from now.
 *  Errors: NOT_FOUND, BAD_POINTER, UNREACHABLE, NO_PERMISSION.
 *  In: every hook, and plugin_init. */
export function kvExpire<T0>(key: T0, ms: u32): Status {
  const keyBytes = bytes(key);
  return raw.host_kv_expire(address(keyBytes), keyBytes.byteLength, ms);
}

/** Forgets a key.
 *  Errors: NOT_FOUND, BAD_POINTER, UNREACHABLE, NO_PERMISSION.
 *  In: every hook, and plugin_init. */
export function kvDelete<T0>(key: T0): Status {
  const keyBytes = bytes(key);
  return raw.host_kv_delete(address(keyBytes), keyBytes.byteLength);
}

/** Reads the keys that begin with a prefix, in order.
 *  Answers: a list.
 *  Errors: BAD_POINTER, UNREACHABLE, NO_PERMISSION.
 *  In: every hook, and plugin_init. */
export function kvList<T0>(prefix: T0): ArrayBuffer | null {
  const prefixBytes = bytes(prefix);
  let answer = raw.host_kv_list(address(prefixBytes), prefixBytes.byteLength, address(room), room.byteLength);
  if (grown(answer)) answer = raw.host_kv_list(address(prefixBytes), prefixBytes.byteLength, address(room), room.byteLength);
  return taken(answer);
}

/** Reads what a plugin left on this flow under a key.
 *  Answers: the value.
 *  Errors: NOT_FOUND, BAD_POINTER, WRONG_HOOK, NO_PERMISSION.
 *  In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message. */
export function contextGet<T0>(key: T0): ArrayBuffer | null {
  const keyBytes = bytes(key);
  let answer = raw.host_context_get(address(keyBytes), keyBytes.byteLength, address(room), room.byteLength);
  if (grown(answer)) answer = raw.host_context_get(address(keyBytes), keyBytes.byteLength, address(room), room.byteLength);
  return taken(answer);
}

/** Leaves a value on this flow, for later hooks and plugins.
 *  Errors: BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, TOO_LARGE, NO_PERMISSION.
 *  In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message. */
export function contextSet<T0, T1>(key: T0, val: T1): Status {
  const keyBytes = bytes(key);
  const valBytes = bytes(val);
  return raw.host_context_set(address(keyBytes), keyBytes.byteLength, address(valBytes), valBytes.byteLength);
}

/** Listens to a topic: its messages come to on_message.
 *  Errors: BAD_POINTER, BAD_ARGUMENT, TOO_LARGE, NO_PERMISSION.
 *  In: every hook, and plugin_init. */
export function subscribe<T0>(topic: T0): Status {
  const topicBytes = bytes(topic);
  return raw.host_subscribe(address(topicBytes), topicBytes.byteLength);
}

/** Sends a message to the plugins that listen, after this call.
 *  Answers: the number of plugins that will get it.
 *  Errors: BAD_POINTER, BAD_ARGUMENT, TOO_LARGE, TOO_DEEP, NO_PERMISSION.
 *  In: every hook, and plugin_init. */
export function publish<T0, T1>(topic: T0, val: T1): i32 {
  const topicBytes = bytes(topic);
  const valBytes = bytes(val);
  return raw.host_publish(address(topicBytes), topicBytes.byteLength, address(valBytes), valBytes.byteLength);
}

/** Reads the topic of the message.
 *  Answers: the value.
 *  Errors: BAD_POINTER, WRONG_HOOK, NO_PERMISSION.
 *  In: on_message. */
export function getTopic(): ArrayBuffer | null {
  let answer = raw.host_get_topic(address(room), room.byteLength);
  if (grown(answer)) answer = raw.host_get_topic(address(room), room.byteLength);
  return taken(answer);
}

/** Reads the message.
 *  Answers: the value.
 *  Errors: BAD_POINTER, WRONG_HOOK, NO_PERMISSION.
 *  In: on_message. */
export function getMessage(): ArrayBuffer | null {
  let answer = raw.host_get_message(address(room), room.byteLength);
  if (grown(answer)) answer = raw.host_get_message(address(room), room.byteLength);
  return taken(answer);
}

/** Reads the name of the plugin that sent the message.
 *  Answers: the value.
 *  Errors: BAD_POINTER, WRONG_HOOK, NO_PERMISSION.
 *  In: on_message. */
export function getSender(): ArrayBuffer | null {
  let answer = raw.host_get_sender(address(room), room.byteLength);
  if (grown(answer)) answer = raw.host_get_sender(address(room), room.byteLength);
  return taken(answer);
}

/** Sends an HTTP request and waits for the answer; both are lists: method, URL, body, then header name, value, …; status, body, then header name, value, ….
 *  Answers: a list.
 *  Errors: BAD_POINTER, BAD_ARGUMENT, PROTECTED, TOO_LARGE, UNREACHABLE, NO_PERMISSION.
 *  In: every hook, and plugin_init. */
export function httpFetch<T0>(request: T0): ArrayBuffer | null {
  const requestBytes = bytes(request);
  let answer = raw.host_http_fetch(address(requestBytes), requestBytes.byteLength, address(room), room.byteLength);
  if (grown(answer)) answer = raw.host_http_fetch(address(requestBytes), requestBytes.byteLength, address(room), room.byteLength);
  return taken(answer);
}

/** A list in the ABI's form: headers are name, value, name, value. */
export function list(items: string[]): ArrayBuffer {
  let size = 0;
  for (let at = 0; at < items.length; at++) size += 4 + String.UTF8.byteLength(items[at]);
  const made = new ArrayBuffer(size);
  let place = address(made);
  for (let at = 0; at < items.length; at++) {
    const item = String.UTF8.encode(items[at]);
    store<u32>(place, item.byteLength);
    memory.copy(place + 4, address(item), item.byteLength);
    place += 4 + item.byteLength;
  }
  return made;
}

/** The items of a list that a host function gave. */
export function items(list: ArrayBuffer | null): ArrayBuffer[] {
  const found: ArrayBuffer[] = [];
  if (list === null) return found;
  let at = 0;
  while (at + 4 <= list.byteLength) {
    const end = at + 4 + <i32>load<u32>(address(list) + at);
    if (end < at + 4 || end > list.byteLength) break;
    found.push(list.slice(at + 4, end));
    at = end;
  }
  return found;
}

/** What a failed assertion calls: one line in the log, then a trap. Give the compiler
 *  `--use abort=PATH/int3rceptor/trap`. */
export function trap(message: string | null, file: string | null, line: u32, column: u32): void {
  const said = String.UTF8.encode(`${message ? message : "abort"} (${file ? file : ""}:${line})`);
  raw.host_abort(address(said), said.byteLength);
  unreachable();
}
