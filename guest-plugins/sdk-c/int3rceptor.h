/* INT3RCEPTOR's plugin ABI for C. Written by int3rceptor.plugins.authoring.bindings.
 *
 * A hook is a function without parameters that returns one of the I3_ codes:
 *
 *     I3_HOOK(on_request) { host_set_header(I3("x-seen"), I3("yes")); return I3_CONTINUE; }
 *
 * Functions that fill a buffer return the length of the value. More than the buffer's
 * size means that nothing was written: ask again with a buffer of that size. Of these and
 * of functions that answer a number, one below 0 is an i3_status. */
#ifndef INT3RCEPTOR_H
#define INT3RCEPTOR_H

#include <stddef.h>
#include <stdint.h>

/* Defines one exported hook, or plugin_init. */
#define I3_HOOK(name) __attribute__((export_name(#name))) int32_t name(void)

/* A text literal as the two arguments, address and length, that the functions take. */
#define I3(text) (text), (sizeof(text) - 1)

/* What a hook returns. */
typedef enum {
    I3_CONTINUE = 0,
    I3_RESPOND = 1,
    I3_DROP = 2,
    I3_ERROR = -1,
} i3_code;

/* What a host function answers. */
typedef enum {
    I3_STATUS_OK = 0,
    I3_STATUS_NOT_FOUND = -1,
    I3_STATUS_BAD_POINTER = -2,
    I3_STATUS_BAD_ARGUMENT = -3,
    I3_STATUS_WRONG_HOOK = -4,
    I3_STATUS_NO_PERMISSION = -5,
    I3_STATUS_PROTECTED = -6,
    I3_STATUS_TOO_LARGE = -7,
    I3_STATUS_TOO_DEEP = -8,
    I3_STATUS_UNREACHABLE = -9,
} i3_status;

/* The levels of host_log. */
typedef enum {
    I3_LOG_DEBUG = 0,
    I3_LOG_INFO = 1,
    I3_LOG_WARN = 2,
    I3_LOG_ERROR = 3,
} i3_level;

#define I3_IMPORT(name) __attribute__((import_module("env"), import_name(#name))) extern

/* Writes one UTF-8 log line; a level outside 0 to 3 counts as INFO.
 * Answers: OK.
 * In: every hook, and plugin_init. */
I3_IMPORT(host_log) i3_status host_log(i3_level level, const void *ptr, uint32_t len);

/* Tells the size of the module's memory.
 * Answers: pages of 64 KiB.
 * In: every hook, and plugin_init. */
I3_IMPORT(host_get_memory_size) int32_t host_get_memory_size(void);

/* Writes an ABORT line to the log; it stops nothing.
 * Answers: OK.
 * In: every hook, and plugin_init. */
I3_IMPORT(host_abort) i3_status host_abort(const void *ptr, uint32_t len);

/* Reads the first value of a header of the hook's message.
 * Answers: the length; more than val_max means that nothing was written: ask again.
 * Errors: NOT_FOUND.
 * In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message. */
I3_IMPORT(host_get_header) int32_t host_get_header(const void *name_ptr, uint32_t name_len, void *val_ptr, uint32_t val_max);

/* Sets a header: replaces the first of this name and drops the others.
 * Answers: OK.
 * Errors: NOT_FOUND.
 * In: on_request, on_rule_match, on_response, on_capture. */
I3_IMPORT(host_set_header) i3_status host_set_header(const void *name_ptr, uint32_t name_len, const void *val_ptr, uint32_t val_len);

/* Reads the request's method.
 * Answers: the length; more than max_len means that nothing was written: ask again.
 * Errors: NOT_FOUND.
 * In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message. */
I3_IMPORT(host_get_method) int32_t host_get_method(void *buf_ptr, uint32_t max_len);

/* Reads the request's URL.
 * Answers: the length; more than buf_len means that nothing was written: ask again.
 * Errors: BAD_POINTER, WRONG_HOOK, NO_PERMISSION.
 * In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message. */
I3_IMPORT(host_get_url) int32_t host_get_url(void *buf_ptr, uint32_t buf_len);

/* Reads http or https.
 * Answers: the length; more than buf_len means that nothing was written: ask again.
 * Errors: BAD_POINTER, WRONG_HOOK, NO_PERMISSION.
 * In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message. */
I3_IMPORT(host_get_scheme) int32_t host_get_scheme(void *buf_ptr, uint32_t buf_len);

/* Reads the host that the request goes to.
 * Answers: the length; more than buf_len means that nothing was written: ask again.
 * Errors: BAD_POINTER, WRONG_HOOK, NO_PERMISSION.
 * In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message. */
I3_IMPORT(host_get_host) int32_t host_get_host(void *buf_ptr, uint32_t buf_len);

/* Tells the port that the request goes to.
 * Answers: the port.
 * Errors: WRONG_HOOK, NO_PERMISSION.
 * In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message. */
I3_IMPORT(host_get_port) int32_t host_get_port(void);

/* Reads path and query, byte for byte as received.
 * Answers: the length; more than buf_len means that nothing was written: ask again.
 * Errors: BAD_POINTER, WRONG_HOOK, NO_PERMISSION.
 * In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message. */
I3_IMPORT(host_get_path) int32_t host_get_path(void *buf_ptr, uint32_t buf_len);

/* Reads the HTTP version of the hook's message.
 * Answers: the length; more than buf_len means that nothing was written: ask again.
 * Errors: BAD_POINTER, WRONG_HOOK, NO_PERMISSION.
 * In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message. */
I3_IMPORT(host_get_version) int32_t host_get_version(void *buf_ptr, uint32_t buf_len);

/* Reads the client's ADDRESS:PORT.
 * Answers: the length; more than buf_len means that nothing was written: ask again.
 * Errors: BAD_POINTER, WRONG_HOOK, NO_PERMISSION.
 * In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message. */
I3_IMPORT(host_get_client_addr) int32_t host_get_client_addr(void *buf_ptr, uint32_t buf_len);

/* Reads the server name of the client's TLS hello.
 * Answers: the length; more than buf_len means that nothing was written: ask again.
 * Errors: BAD_POINTER, WRONG_HOOK, NOT_FOUND, NO_PERMISSION.
 * In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message. */
I3_IMPORT(host_get_sni) int32_t host_get_sni(void *buf_ptr, uint32_t buf_len);

/* Reads the host that CONNECT named.
 * Answers: the length; more than buf_len means that nothing was written: ask again.
 * Errors: BAD_POINTER, WRONG_HOOK, NOT_FOUND, NO_PERMISSION.
 * In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message. */
I3_IMPORT(host_get_connect_host) int32_t host_get_connect_host(void *buf_ptr, uint32_t buf_len);

/* Reads the name of the rule that matched.
 * Answers: the length; more than buf_len means that nothing was written: ask again.
 * Errors: BAD_POINTER, WRONG_HOOK, NOT_FOUND, NO_PERMISSION.
 * In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message. */
I3_IMPORT(host_get_rule) int32_t host_get_rule(void *buf_ptr, uint32_t buf_len);

/* Reads the first value of a header of the request, in any hook.
 * Answers: the length; more than buf_len means that nothing was written: ask again.
 * Errors: NOT_FOUND, BAD_POINTER, WRONG_HOOK, NO_PERMISSION.
 * In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message. */
I3_IMPORT(host_get_request_header) int32_t host_get_request_header(const void *name_ptr, uint32_t name_len, void *buf_ptr, uint32_t buf_len);

/* Reads every value of a header of the hook's message.
 * Answers: a list; the length; more than buf_len means that nothing was written: ask again.
 * Errors: NOT_FOUND, BAD_POINTER, WRONG_HOOK, NO_PERMISSION.
 * In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message. */
I3_IMPORT(host_get_header_values) int32_t host_get_header_values(const void *name_ptr, uint32_t name_len, void *buf_ptr, uint32_t buf_len);

/* Reads all headers of the hook's message: name, value, name, value.
 * Answers: a list; the length; more than buf_len means that nothing was written: ask again.
 * Errors: NOT_FOUND, BAD_POINTER, WRONG_HOOK, NO_PERMISSION.
 * In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message. */
I3_IMPORT(host_list_headers) int32_t host_list_headers(void *buf_ptr, uint32_t buf_len);

/* Reads all headers of the request, in any hook.
 * Answers: a list; the length; more than buf_len means that nothing was written: ask again.
 * Errors: BAD_POINTER, WRONG_HOOK, NO_PERMISSION.
 * In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message. */
I3_IMPORT(host_list_request_headers) int32_t host_list_request_headers(void *buf_ptr, uint32_t buf_len);

/* Tells the response's status.
 * Answers: the status.
 * Errors: NOT_FOUND, WRONG_HOOK, NO_PERMISSION.
 * In: on_response, on_capture, on_response_chunk, on_sse_event, on_websocket_message. */
I3_IMPORT(host_get_status) int32_t host_get_status(void);

/* Reads the whole body of the hook's message, as it is on the wire.
 * Answers: the length; more than buf_len means that nothing was written: ask again.
 * Errors: NOT_FOUND, BAD_POINTER, WRONG_HOOK, TOO_LARGE, NO_PERMISSION.
 * In: on_request, on_response, on_capture. */
I3_IMPORT(host_get_body) int32_t host_get_body(void *buf_ptr, uint32_t buf_len);

/* Reads the first value of a trailer.
 * Answers: the length; more than buf_len means that nothing was written: ask again.
 * Errors: NOT_FOUND, BAD_POINTER, WRONG_HOOK, TOO_LARGE, NO_PERMISSION.
 * In: on_request, on_response, on_capture, on_request_chunk, on_response_chunk. */
I3_IMPORT(host_get_trailer) int32_t host_get_trailer(const void *name_ptr, uint32_t name_len, void *buf_ptr, uint32_t buf_len);

/* Reads all trailers: name, value, name, value.
 * Answers: a list; the length; more than buf_len means that nothing was written: ask again.
 * Errors: NOT_FOUND, BAD_POINTER, WRONG_HOOK, TOO_LARGE, NO_PERMISSION.
 * In: on_request, on_response, on_capture, on_request_chunk, on_response_chunk. */
I3_IMPORT(host_list_trailers) int32_t host_list_trailers(void *buf_ptr, uint32_t buf_len);

/* Reads a fact by its name, as text; BAD_ARGUMENT: there is no such fact.
 * Answers: the length; more than buf_len means that nothing was written: ask again.
 * Errors: NOT_FOUND, BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, NO_PERMISSION.
 * In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message. */
I3_IMPORT(host_get_fact) int32_t host_get_fact(const void *name_ptr, uint32_t name_len, void *buf_ptr, uint32_t buf_len);

/* Appends a header, keeping those of the same name.
 * Answers: OK.
 * Errors: BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, PROTECTED, TOO_LARGE, NO_PERMISSION.
 * In: on_request, on_rule_match, on_response, on_capture. */
I3_IMPORT(host_add_header) i3_status host_add_header(const void *name_ptr, uint32_t name_len, const void *val_ptr, uint32_t val_len);

/* Drops every header of this name.
 * Answers: the number dropped.
 * Errors: BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, PROTECTED, TOO_LARGE, NO_PERMISSION.
 * In: on_request, on_rule_match, on_response, on_capture. */
I3_IMPORT(host_remove_header) int32_t host_remove_header(const void *name_ptr, uint32_t name_len);

/* Sets the method; never from or to CONNECT or HEAD.
 * Answers: OK.
 * Errors: BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, NO_PERMISSION.
 * In: on_request, on_rule_match. */
I3_IMPORT(host_set_method) i3_status host_set_method(const void *val_ptr, uint32_t val_len);

/* Sets path and query; begins with /.
 * Answers: OK.
 * Errors: BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, NO_PERMISSION.
 * In: on_request, on_rule_match, on_capture. */
I3_IMPORT(host_set_path) i3_status host_set_path(const void *val_ptr, uint32_t val_len);

/* Sets the status (200 to 599); never from or to one that has no body.
 * Answers: OK.
 * Errors: BAD_ARGUMENT, WRONG_HOOK, NO_PERMISSION.
 * In: on_response. */
I3_IMPORT(host_set_status) i3_status host_set_status(uint16_t status);

/* Replaces the body of the hook's message.
 * Answers: OK.
 * Errors: NOT_FOUND, BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, TOO_LARGE, NO_PERMISSION.
 * In: on_request, on_response, on_capture. */
I3_IMPORT(host_set_body) i3_status host_set_body(const void *val_ptr, uint32_t val_len);

/* Sets a header of the request: replaces the first of this name and drops the others.
 * Answers: OK.
 * Errors: BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, PROTECTED, TOO_LARGE, NO_PERMISSION.
 * In: on_request, on_rule_match, on_capture. */
I3_IMPORT(host_set_request_header) i3_status host_set_request_header(const void *name_ptr, uint32_t name_len, const void *val_ptr, uint32_t val_len);

/* Appends a header of the request, keeping those of the same name.
 * Answers: OK.
 * Errors: BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, PROTECTED, TOO_LARGE, NO_PERMISSION.
 * In: on_request, on_rule_match, on_capture. */
I3_IMPORT(host_add_request_header) i3_status host_add_request_header(const void *name_ptr, uint32_t name_len, const void *val_ptr, uint32_t val_len);

/* Drops every header of the request of this name.
 * Answers: the number dropped.
 * Errors: BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, PROTECTED, TOO_LARGE, NO_PERMISSION.
 * In: on_request, on_rule_match, on_capture. */
I3_IMPORT(host_remove_request_header) int32_t host_remove_request_header(const void *name_ptr, uint32_t name_len);

/* Reads the whole body of the request, as it is on the wire.
 * Answers: the length; more than buf_len means that nothing was written: ask again.
 * Errors: BAD_POINTER, WRONG_HOOK, TOO_LARGE, NO_PERMISSION.
 * In: on_request, on_response, on_capture. */
I3_IMPORT(host_get_request_body) int32_t host_get_request_body(void *buf_ptr, uint32_t buf_len);

/* Replaces the body of the request.
 * Answers: OK.
 * Errors: BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, TOO_LARGE, NO_PERMISSION.
 * In: on_request, on_capture. */
I3_IMPORT(host_set_request_body) i3_status host_set_request_body(const void *val_ptr, uint32_t val_len);

/* Sets a trailer of the hook's message: replaces the first of this name and drops the others.
 * Answers: OK.
 * Errors: NOT_FOUND, BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, PROTECTED, TOO_LARGE, NO_PERMISSION.
 * In: on_request, on_response, on_capture. */
I3_IMPORT(host_set_trailer) i3_status host_set_trailer(const void *name_ptr, uint32_t name_len, const void *val_ptr, uint32_t val_len);

/* Appends a trailer of the hook's message, keeping those of the same name.
 * Answers: OK.
 * Errors: NOT_FOUND, BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, PROTECTED, TOO_LARGE, NO_PERMISSION.
 * In: on_request, on_response, on_capture. */
I3_IMPORT(host_add_trailer) i3_status host_add_trailer(const void *name_ptr, uint32_t name_len, const void *val_ptr, uint32_t val_len);

/* Drops every trailer of the hook's message of this name.
 * Answers: the number dropped.
 * Errors: NOT_FOUND, BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, PROTECTED, TOO_LARGE, NO_PERMISSION.
 * In: on_request, on_response, on_capture. */
I3_IMPORT(host_remove_trailer) int32_t host_remove_trailer(const void *name_ptr, uint32_t name_len);

/* Reads all trailers of the request.
 * Answers: a list; the length; more than buf_len means that nothing was written: ask again.
 * Errors: BAD_POINTER, WRONG_HOOK, TOO_LARGE, NO_PERMISSION.
 * In: on_request, on_response, on_capture. */
I3_IMPORT(host_list_request_trailers) int32_t host_list_request_trailers(void *buf_ptr, uint32_t buf_len);

/* Sets a trailer of the request: replaces the first of this name and drops the others.
 * Answers: OK.
 * Errors: NOT_FOUND, BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, PROTECTED, TOO_LARGE, NO_PERMISSION.
 * In: on_request, on_capture. */
I3_IMPORT(host_set_request_trailer) i3_status host_set_request_trailer(const void *name_ptr, uint32_t name_len, const void *val_ptr, uint32_t val_len);

/* Appends a trailer of the request, keeping those of the same name.
 * Answers: OK.
 * Errors: NOT_FOUND, BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, PROTECTED, TOO_LARGE, NO_PERMISSION.
 * In: on_request, on_capture. */
I3_IMPORT(host_add_request_trailer) i3_status host_add_request_trailer(const void *name_ptr, uint32_t name_len, const void *val_ptr, uint32_t val_len);

/* Drops every trailer of the request of this name.
 * Answers: the number dropped.
 * Errors: NOT_FOUND, BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, PROTECTED, TOO_LARGE, NO_PERMISSION.
 * In: on_request, on_capture. */
I3_IMPORT(host_remove_request_trailer) int32_t host_remove_request_trailer(const void *name_ptr, uint32_t name_len);

/* Answers the client (200 to 599); headers are a list: name, value, ….
 * Answers: OK.
 * Errors: BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, PROTECTED, TOO_LARGE, NO_PERMISSION.
 * In: on_connect, on_request, on_rule_match, on_response. */
I3_IMPORT(host_respond) i3_status host_respond(uint16_t status, const void *headers_ptr, uint32_t headers_len, const void *body_ptr, uint32_t body_len);

/* Closes without an answer; in on_capture: does not keep the flow; of an event or a message: lets it go no further.
 * Answers: OK.
 * Errors: WRONG_HOOK, NO_PERMISSION.
 * In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message. */
I3_IMPORT(host_drop) i3_status host_drop(void);

/* Waits after the hook, 5 minutes at most, then goes on.
 * Answers: OK.
 * Errors: BAD_ARGUMENT, WRONG_HOOK, NO_PERMISSION.
 * In: on_connect, on_request, on_rule_match, on_response. */
I3_IMPORT(host_delay) i3_status host_delay(uint32_t ms);

/* Reads a key of the plugin's configuration; an empty key: all as JSON.
 * Answers: the length; more than buf_len means that nothing was written: ask again.
 * Errors: NOT_FOUND, BAD_POINTER.
 * In: every hook, and plugin_init. */
I3_IMPORT(host_get_config) int32_t host_get_config(const void *key_ptr, uint32_t key_len, void *buf_ptr, uint32_t buf_len);

/* Tells the time.
 * Answers: milliseconds since 1970-01-01 UTC.
 * Errors: NO_PERMISSION.
 * In: every hook, and plugin_init. */
I3_IMPORT(host_now_ms) int64_t host_now_ms(void);

/* Fills the buffer with random bytes.
 * Answers: OK.
 * Errors: BAD_POINTER, NO_PERMISSION.
 * In: every hook, and plugin_init. */
I3_IMPORT(host_random) i3_status host_random(void *buf_ptr, uint32_t buf_len);

/* Reads the chunk, 16 KiB at most; or the event's data, or the message.
 * Answers: the length; more than buf_len means that nothing was written: ask again.
 * Errors: BAD_POINTER, WRONG_HOOK, NO_PERMISSION.
 * In: on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message. */
I3_IMPORT(host_get_chunk) int32_t host_get_chunk(void *buf_ptr, uint32_t buf_len);

/* Sets what goes on in the place of the chunk, the event's data or the message, 1 MiB at most; may be empty.
 * Answers: OK.
 * Errors: BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, TOO_LARGE, NO_PERMISSION.
 * In: on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message. */
I3_IMPORT(host_set_chunk) i3_status host_set_chunk(const void *val_ptr, uint32_t val_len);

/* Tells whether this is the end of the body: an empty chunk after the others.
 * Answers: 1 or 0.
 * Errors: WRONG_HOOK, NO_PERMISSION.
 * In: on_request_chunk, on_response_chunk. */
I3_IMPORT(host_is_last_chunk) int32_t host_is_last_chunk(void);

/* Reads the event's `event` (its type), `id` or `retry`.
 * Answers: the length; more than buf_len means that nothing was written: ask again.
 * Errors: NOT_FOUND, BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, NO_PERMISSION.
 * In: on_sse_event. */
I3_IMPORT(host_get_event_field) int32_t host_get_event_field(const void *name_ptr, uint32_t name_len, void *buf_ptr, uint32_t buf_len);

/* Sets the event's `event`, `id` or `retry`.
 * Answers: OK.
 * Errors: BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, TOO_LARGE, NO_PERMISSION.
 * In: on_sse_event. */
I3_IMPORT(host_set_event_field) i3_status host_set_event_field(const void *name_ptr, uint32_t name_len, const void *val_ptr, uint32_t val_len);

/* Takes the content codings off the hook's message, now and further on.
 * Answers: the number taken off; 0: it has none.
 * Errors: NOT_FOUND, BAD_ARGUMENT, WRONG_HOOK, PROTECTED, TOO_LARGE, NO_PERMISSION.
 * In: on_request, on_response. */
I3_IMPORT(host_decode_body) int32_t host_decode_body(void);

/* Sends the request to this http or https URL; Host follows.
 * Answers: OK.
 * Errors: BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, NO_PERMISSION.
 * In: on_request, on_rule_match. */
I3_IMPORT(host_set_url) i3_status host_set_url(const void *url_ptr, uint32_t url_len);

/* Dials this host and port in place of the origin, whose names stay.
 * Answers: OK.
 * Errors: BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, NO_PERMISSION.
 * In: on_connect. */
I3_IMPORT(host_set_upstream) i3_status host_set_upstream(const void *host_ptr, uint32_t host_len, uint16_t port);

/* Relays this connection unread.
 * Answers: OK.
 * Errors: WRONG_HOOK, NO_PERMISSION.
 * In: on_connect. */
I3_IMPORT(host_pass_through) i3_status host_pass_through(void);

/* Reads the flow's tags.
 * Answers: a list; the length; more than buf_len means that nothing was written: ask again.
 * Errors: BAD_POINTER, WRONG_HOOK, NO_PERMISSION.
 * In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message. */
I3_IMPORT(host_list_tags) int32_t host_list_tags(void *buf_ptr, uint32_t buf_len);

/* Adds a UTF-8 tag to the flow.
 * Answers: OK.
 * Errors: BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, TOO_LARGE, NO_PERMISSION.
 * In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message. */
I3_IMPORT(host_tag) i3_status host_tag(const void *val_ptr, uint32_t val_len);

/* Takes away a tag that this plugin added.
 * Answers: OK.
 * Errors: NOT_FOUND, BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, PROTECTED, NO_PERMISSION.
 * In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message. */
I3_IMPORT(host_remove_tag) i3_status host_remove_tag(const void *val_ptr, uint32_t val_len);

/* Reads a key of the plugin's state.
 * Answers: the length; more than buf_len means that nothing was written: ask again.
 * Errors: NOT_FOUND, BAD_POINTER, UNREACHABLE, NO_PERMISSION.
 * In: every hook, and plugin_init. */
I3_IMPORT(host_kv_get) int32_t host_kv_get(const void *key_ptr, uint32_t key_len, void *buf_ptr, uint32_t buf_len);

/* Keeps a value under a key, without an end.
 * Answers: OK.
 * Errors: BAD_POINTER, BAD_ARGUMENT, TOO_LARGE, UNREACHABLE, NO_PERMISSION.
 * In: every hook, and plugin_init. */
I3_IMPORT(host_kv_set) i3_status host_kv_set(const void *key_ptr, uint32_t key_len, const void *val_ptr, uint32_t val_len);

/* Adds to a number, which begins at 0 and never falls below it.
 * Answers: the number.
 * Errors: BAD_POINTER, BAD_ARGUMENT, TOO_LARGE, UNREACHABLE, NO_PERMISSION.
 * In: every hook, and plugin_init. */
I3_IMPORT(host_kv_add) int64_t host_kv_add(const void *key_ptr, uint32_t key_len, int32_t delta);

/* Lets a key end that long from now.
 * Answers: OK.
 * Errors: NOT_FOUND, BAD_POINTER, UNREACHABLE, NO_PERMISSION.
 * In: every hook, and plugin_init. */
I3_IMPORT(host_kv_expire) i3_status host_kv_expire(const void *key_ptr, uint32_t key_len, uint32_t ms);

/* Forgets a key.
 * Answers: OK.
 * Errors: NOT_FOUND, BAD_POINTER, UNREACHABLE, NO_PERMISSION.
 * In: every hook, and plugin_init. */
I3_IMPORT(host_kv_delete) i3_status host_kv_delete(const void *key_ptr, uint32_t key_len);

/* Reads the keys that begin with a prefix, in order.
 * Answers: a list; the length; more than buf_len means that nothing was written: ask again.
 * Errors: BAD_POINTER, UNREACHABLE, NO_PERMISSION.
 * In: every hook, and plugin_init. */
I3_IMPORT(host_kv_list) int32_t host_kv_list(const void *prefix_ptr, uint32_t prefix_len, void *buf_ptr, uint32_t buf_len);

/* Reads what a plugin left on this flow under a key.
 * Answers: the length; more than buf_len means that nothing was written: ask again.
 * Errors: NOT_FOUND, BAD_POINTER, WRONG_HOOK, NO_PERMISSION.
 * In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message. */
I3_IMPORT(host_context_get) int32_t host_context_get(const void *key_ptr, uint32_t key_len, void *buf_ptr, uint32_t buf_len);

/* Leaves a value on this flow, for later hooks and plugins.
 * Answers: OK.
 * Errors: BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, TOO_LARGE, NO_PERMISSION.
 * In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message. */
I3_IMPORT(host_context_set) i3_status host_context_set(const void *key_ptr, uint32_t key_len, const void *val_ptr, uint32_t val_len);

/* Listens to a topic: its messages come to on_message.
 * Answers: OK.
 * Errors: BAD_POINTER, BAD_ARGUMENT, TOO_LARGE, NO_PERMISSION.
 * In: every hook, and plugin_init. */
I3_IMPORT(host_subscribe) i3_status host_subscribe(const void *topic_ptr, uint32_t topic_len);

/* Sends a message to the plugins that listen, after this call.
 * Answers: the number of plugins that will get it.
 * Errors: BAD_POINTER, BAD_ARGUMENT, TOO_LARGE, TOO_DEEP, NO_PERMISSION.
 * In: every hook, and plugin_init. */
I3_IMPORT(host_publish) int32_t host_publish(const void *topic_ptr, uint32_t topic_len, const void *val_ptr, uint32_t val_len);

/* Reads the topic of the message.
 * Answers: the length; more than buf_len means that nothing was written: ask again.
 * Errors: BAD_POINTER, WRONG_HOOK, NO_PERMISSION.
 * In: on_message. */
I3_IMPORT(host_get_topic) int32_t host_get_topic(void *buf_ptr, uint32_t buf_len);

/* Reads the message.
 * Answers: the length; more than buf_len means that nothing was written: ask again.
 * Errors: BAD_POINTER, WRONG_HOOK, NO_PERMISSION.
 * In: on_message. */
I3_IMPORT(host_get_message) int32_t host_get_message(void *buf_ptr, uint32_t buf_len);

/* Reads the name of the plugin that sent the message.
 * Answers: the length; more than buf_len means that nothing was written: ask again.
 * Errors: BAD_POINTER, WRONG_HOOK, NO_PERMISSION.
 * In: on_message. */
I3_IMPORT(host_get_sender) int32_t host_get_sender(void *buf_ptr, uint32_t buf_len);

/* Sends an HTTP request and waits for the answer; both are lists: method, URL, body, then header name, value, …; status, body, then header name, value, ….
 * Answers: a list; the length; more than buf_len means that nothing was written: ask again, with the same request.
 * Errors: BAD_POINTER, BAD_ARGUMENT, PROTECTED, TOO_LARGE, UNREACHABLE, NO_PERMISSION.
 * In: every hook, and plugin_init. */
I3_IMPORT(host_http_fetch) int32_t host_http_fetch(const void *request_ptr, uint32_t request_len, void *buf_ptr, uint32_t buf_len);

/* Bytes somewhere: a value that was read, an item of a list. */
typedef struct {
    const uint8_t *data;
    uint32_t size;
} i3_bytes;

/* What a function that fills `buffer` answered, as the bytes that it wrote; size 0 when
 * it failed or the buffer was too small. */
static inline i3_bytes i3_filled(const void *buffer, uint32_t room, int32_t answer) {
    i3_bytes value = {buffer, answer > 0 && (uint32_t)answer <= room ? (uint32_t)answer : 0};
    return value;
}

/* Log a literal. */
#define i3_log(level, text) ((void)host_log((level), I3(text)))

/* A list in the ABI's form, built in memory that the caller brings. */
typedef struct {
    uint8_t *data;
    uint32_t room;
    uint32_t size;
} i3_list;

/* Append an item; 0, and nothing appended, when there is no room for it. */
static inline int i3_push(i3_list *list, const void *item, uint32_t size) {
    uint32_t left = list->room - list->size;
    if (left < 4 || left - 4 < size)
        return 0;
    uint8_t *to = list->data + list->size;
    for (int byte = 0; byte < 4; byte++)
        to[byte] = (uint8_t)(size >> (8 * byte));
    for (uint32_t at = 0; at < size; at++)
        to[4 + at] = ((const uint8_t *)item)[at];
    list->size += 4 + size;
    return 1;
}

/* Take the next item off the front of a list; 0 at its end. */
static inline int i3_next(i3_bytes *list, i3_bytes *item) {
    if (list->size < 4)
        return 0;
    const uint8_t *from = list->data;
    uint32_t size = from[0] | from[1] << 8 | from[2] << 16 | (uint32_t)from[3] << 24;
    if (list->size - 4 < size)
        return 0;
    item->data = from + 4;
    item->size = size;
    list->data += 4 + size;
    list->size -= 4 + size;
    return 1;
}

#endif
