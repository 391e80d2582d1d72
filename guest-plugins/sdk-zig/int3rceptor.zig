//! INT3RCEPTOR's host functions for Zig, without allocation.
//! Written by int3rceptor.plugins.authoring.bindings.
//!
//!     export fn on_request() i32 {
//!         host.setHeader("x-seen", "yes") catch return host.ERROR;
//!         return host.CONTINUE;
//!     }
//!
//! Functions that read take a buffer and give back the part of it that was filled.

/// What a hook returns.
pub const CONTINUE: i32 = 0;
pub const RESPOND: i32 = 1;
pub const DROP: i32 = 2;
pub const ERROR: i32 = -1;

/// The levels of `log`.
pub const Level = enum(i32) {
    debug = 0,
    info = 1,
    warn = 2,
    err = 3,
};

/// Why a host function did not do it.
pub const Failure = error{
    NotFound,
    BadPointer,
    BadArgument,
    WrongHook,
    NoPermission,
    Protected,
    TooLarge,
    TooDeep,
    Unreachable,
    /// The buffer: ask `raw` for the length that is needed.
    TooSmall,
    /// A status code that this file does not know.
    Unknown,
};

/// The host functions as they are imported.
pub const raw = struct {
    pub extern "env" fn host_log(level: Level, ptr: [*]const u8, len: usize) i32;
    pub extern "env" fn host_get_memory_size() i32;
    pub extern "env" fn host_abort(ptr: [*]const u8, len: usize) i32;
    pub extern "env" fn host_get_header(name_ptr: [*]const u8, name_len: usize, val_ptr: [*]u8, val_max: usize) i32;
    pub extern "env" fn host_set_header(name_ptr: [*]const u8, name_len: usize, val_ptr: [*]const u8, val_len: usize) i32;
    pub extern "env" fn host_get_method(buf_ptr: [*]u8, max_len: usize) i32;
    pub extern "env" fn host_get_url(buf_ptr: [*]u8, buf_len: usize) i32;
    pub extern "env" fn host_get_scheme(buf_ptr: [*]u8, buf_len: usize) i32;
    pub extern "env" fn host_get_host(buf_ptr: [*]u8, buf_len: usize) i32;
    pub extern "env" fn host_get_port() i32;
    pub extern "env" fn host_get_path(buf_ptr: [*]u8, buf_len: usize) i32;
    pub extern "env" fn host_get_version(buf_ptr: [*]u8, buf_len: usize) i32;
    pub extern "env" fn host_get_client_addr(buf_ptr: [*]u8, buf_len: usize) i32;
    pub extern "env" fn host_get_sni(buf_ptr: [*]u8, buf_len: usize) i32;
    pub extern "env" fn host_get_connect_host(buf_ptr: [*]u8, buf_len: usize) i32;
    pub extern "env" fn host_get_rule(buf_ptr: [*]u8, buf_len: usize) i32;
    pub extern "env" fn host_get_request_header(name_ptr: [*]const u8, name_len: usize, buf_ptr: [*]u8, buf_len: usize) i32;
    pub extern "env" fn host_get_header_values(name_ptr: [*]const u8, name_len: usize, buf_ptr: [*]u8, buf_len: usize) i32;
    pub extern "env" fn host_list_headers(buf_ptr: [*]u8, buf_len: usize) i32;
    pub extern "env" fn host_list_request_headers(buf_ptr: [*]u8, buf_len: usize) i32;
    pub extern "env" fn host_get_status() i32;
    pub extern "env" fn host_get_body(buf_ptr: [*]u8, buf_len: usize) i32;
    pub extern "env" fn host_get_trailer(name_ptr: [*]const u8, name_len: usize, buf_ptr: [*]u8, buf_len: usize) i32;
    pub extern "env" fn host_list_trailers(buf_ptr: [*]u8, buf_len: usize) i32;
    pub extern "env" fn host_get_fact(name_ptr: [*]const u8, name_len: usize, buf_ptr: [*]u8, buf_len: usize) i32;
    pub extern "env" fn host_add_header(name_ptr: [*]const u8, name_len: usize, val_ptr: [*]const u8, val_len: usize) i32;
    pub extern "env" fn host_remove_header(name_ptr: [*]const u8, name_len: usize) i32;
    pub extern "env" fn host_set_method(val_ptr: [*]const u8, val_len: usize) i32;
    pub extern "env" fn host_set_path(val_ptr: [*]const u8, val_len: usize) i32;
    pub extern "env" fn host_set_status(status: i32) i32;
    pub extern "env" fn host_set_body(val_ptr: [*]const u8, val_len: usize) i32;
    pub extern "env" fn host_set_request_header(name_ptr: [*]const u8, name_len: usize, val_ptr: [*]const u8, val_len: usize) i32;
    pub extern "env" fn host_add_request_header(name_ptr: [*]const u8, name_len: usize, val_ptr: [*]const u8, val_len: usize) i32;
    pub extern "env" fn host_remove_request_header(name_ptr: [*]const u8, name_len: usize) i32;
    pub extern "env" fn host_get_request_body(buf_ptr: [*]u8, buf_len: usize) i32;
    pub extern "env" fn host_set_request_body(val_ptr: [*]const u8, val_len: usize) i32;
    pub extern "env" fn host_set_trailer(name_ptr: [*]const u8, name_len: usize, val_ptr: [*]const u8, val_len: usize) i32;
    pub extern "env" fn host_add_trailer(name_ptr: [*]const u8, name_len: usize, val_ptr: [*]const u8, val_len: usize) i32;
    pub extern "env" fn host_remove_trailer(name_ptr: [*]const u8, name_len: usize) i32;
    pub extern "env" fn host_list_request_trailers(buf_ptr: [*]u8, buf_len: usize) i32;
    pub extern "env" fn host_set_request_trailer(name_ptr: [*]const u8, name_len: usize, val_ptr: [*]const u8, val_len: usize) i32;
    pub extern "env" fn host_add_request_trailer(name_ptr: [*]const u8, name_len: usize, val_ptr: [*]const u8, val_len: usize) i32;
    pub extern "env" fn host_remove_request_trailer(name_ptr: [*]const u8, name_len: usize) i32;
    pub extern "env" fn host_respond(status: i32, headers_ptr: [*]const u8, headers_len: usize, body_ptr: [*]const u8, body_len: usize) i32;
    pub extern "env" fn host_drop() i32;
    pub extern "env" fn host_delay(ms: i32) i32;
    pub extern "env" fn host_get_config(key_ptr: [*]const u8, key_len: usize, buf_ptr: [*]u8, buf_len: usize) i32;
    pub extern "env" fn host_now_ms() i64;
    pub extern "env" fn host_random(buf_ptr: [*]u8, buf_len: usize) i32;
    pub extern "env" fn host_get_chunk(buf_ptr: [*]u8, buf_len: usize) i32;
    pub extern "env" fn host_set_chunk(val_ptr: [*]const u8, val_len: usize) i32;
    pub extern "env" fn host_is_last_chunk() i32;
    pub extern "env" fn host_get_event_field(name_ptr: [*]const u8, name_len: usize, buf_ptr: [*]u8, buf_len: usize) i32;
    pub extern "env" fn host_set_event_field(name_ptr: [*]const u8, name_len: usize, val_ptr: [*]const u8, val_len: usize) i32;
    pub extern "env" fn host_decode_body() i32;
    pub extern "env" fn host_set_url(url_ptr: [*]const u8, url_len: usize) i32;
    pub extern "env" fn host_set_upstream(host_ptr: [*]const u8, host_len: usize, port: i32) i32;
    pub extern "env" fn host_pass_through() i32;
    pub extern "env" fn host_list_tags(buf_ptr: [*]u8, buf_len: usize) i32;
    pub extern "env" fn host_tag(val_ptr: [*]const u8, val_len: usize) i32;
    pub extern "env" fn host_remove_tag(val_ptr: [*]const u8, val_len: usize) i32;
    pub extern "env" fn host_kv_get(key_ptr: [*]const u8, key_len: usize, buf_ptr: [*]u8, buf_len: usize) i32;
    pub extern "env" fn host_kv_set(key_ptr: [*]const u8, key_len: usize, val_ptr: [*]const u8, val_len: usize) i32;
    pub extern "env" fn host_kv_add(key_ptr: [*]const u8, key_len: usize, delta: i32) i64;
    pub extern "env" fn host_kv_expire(key_ptr: [*]const u8, key_len: usize, ms: i32) i32;
    pub extern "env" fn host_kv_delete(key_ptr: [*]const u8, key_len: usize) i32;
    pub extern "env" fn host_kv_list(prefix_ptr: [*]const u8, prefix_len: usize, buf_ptr: [*]u8, buf_len: usize) i32;
    pub extern "env" fn host_context_get(key_ptr: [*]const u8, key_len: usize, buf_ptr: [*]u8, buf_len: usize) i32;
    pub extern "env" fn host_context_set(key_ptr: [*]const u8, key_len: usize, val_ptr: [*]const u8, val_len: usize) i32;
    pub extern "env" fn host_subscribe(topic_ptr: [*]const u8, topic_len: usize) i32;
    pub extern "env" fn host_publish(topic_ptr: [*]const u8, topic_len: usize, val_ptr: [*]const u8, val_len: usize) i32;
    pub extern "env" fn host_get_topic(buf_ptr: [*]u8, buf_len: usize) i32;
    pub extern "env" fn host_get_message(buf_ptr: [*]u8, buf_len: usize) i32;
    pub extern "env" fn host_get_sender(buf_ptr: [*]u8, buf_len: usize) i32;
    pub extern "env" fn host_http_fetch(request_ptr: [*]const u8, request_len: usize, buf_ptr: [*]u8, buf_len: usize) i32;
};

fn wide(answer: i64) Failure!u64 {
    return switch (answer) {
        -1 => Failure.NotFound,
        -2 => Failure.BadPointer,
        -3 => Failure.BadArgument,
        -4 => Failure.WrongHook,
        -5 => Failure.NoPermission,
        -6 => Failure.Protected,
        -7 => Failure.TooLarge,
        -8 => Failure.TooDeep,
        -9 => Failure.Unreachable,
        else => if (answer < 0) Failure.Unknown else @intCast(answer),
    };
}

fn number(answer: i32) Failure!u32 {
    return @intCast(try wide(answer));
}

fn filled(buffer: []u8, answer: i32) Failure![]u8 {
    const length = try number(answer);
    return if (length > buffer.len) Failure.TooSmall else buffer[0..length];
}

fn done(answer: i32) Failure!void {
    _ = try number(answer);
}

/// Writes one UTF-8 log line; a level outside 0 to 3 counts as INFO.
/// In: every hook, and plugin_init.
pub fn log(level: Level, text: []const u8) void {
    _ = raw.host_log(level, text.ptr, text.len);
}

/// Tells the size of the module's memory.
/// Answers: pages of 64 KiB.
/// In: every hook, and plugin_init.
pub fn getMemorySize() Failure!u32 {
    return number(raw.host_get_memory_size());
}

/// Writes an ABORT line to the log; it stops nothing.
/// In: every hook, and plugin_init.
pub fn abort(text: []const u8) void {
    _ = raw.host_abort(text.ptr, text.len);
}

/// Reads the first value of a header of the hook's message.
/// Answers: the value.
/// Errors: NOT_FOUND.
/// In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message.
pub fn getHeader(name: []const u8, buffer: []u8) Failure![]u8 {
    return filled(buffer, raw.host_get_header(name.ptr, name.len, buffer.ptr, buffer.len));
}

/// Sets a header: replaces the first of this name and drops the others.
/// Errors: NOT_FOUND.
/// In: on_request, on_rule_match, on_response, on_capture.
pub fn setHeader(name: []const u8, val: []const u8) Failure!void {
    return done(raw.host_set_header(name.ptr, name.len, val.ptr, val.len));
}

/// Reads the request's method.
/// Answers: the value.
/// Errors: NOT_FOUND.
/// In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message.
pub fn getMethod(buffer: []u8) Failure![]u8 {
    return filled(buffer, raw.host_get_method(buffer.ptr, buffer.len));
}

/// Reads the request's URL.
/// Answers: the value.
/// Errors: BAD_POINTER, WRONG_HOOK, NO_PERMISSION.
/// In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message.
pub fn getUrl(buffer: []u8) Failure![]u8 {
    return filled(buffer, raw.host_get_url(buffer.ptr, buffer.len));
}

/// Reads http or https.
/// Answers: the value.
/// Errors: BAD_POINTER, WRONG_HOOK, NO_PERMISSION.
/// In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message.
pub fn getScheme(buffer: []u8) Failure![]u8 {
    return filled(buffer, raw.host_get_scheme(buffer.ptr, buffer.len));
}

/// Reads the host that the request goes to.
/// Answers: the value.
/// Errors: BAD_POINTER, WRONG_HOOK, NO_PERMISSION.
/// In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message.
pub fn getHost(buffer: []u8) Failure![]u8 {
    return filled(buffer, raw.host_get_host(buffer.ptr, buffer.len));
}

/// Tells the port that the request goes to.
/// Answers: the port.
/// Errors: WRONG_HOOK, NO_PERMISSION.
/// In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message.
pub fn getPort() Failure!u16 {
    return @intCast(try number(raw.host_get_port()));
}

/// Reads path and query, byte for byte as received.
/// Answers: the value.
/// Errors: BAD_POINTER, WRONG_HOOK, NO_PERMISSION.
/// In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message.
pub fn getPath(buffer: []u8) Failure![]u8 {
    return filled(buffer, raw.host_get_path(buffer.ptr, buffer.len));
}

/// Reads the HTTP version of the hook's message.
/// Answers: the value.
/// Errors: BAD_POINTER, WRONG_HOOK, NO_PERMISSION.
/// In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message.
pub fn getVersion(buffer: []u8) Failure![]u8 {
    return filled(buffer, raw.host_get_version(buffer.ptr, buffer.len));
}

/// Reads the client's ADDRESS:PORT.
/// Answers: the value.
/// Errors: BAD_POINTER, WRONG_HOOK, NO_PERMISSION.
/// In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message.
pub fn getClientAddr(buffer: []u8) Failure![]u8 {
    return filled(buffer, raw.host_get_client_addr(buffer.ptr, buffer.len));
}

/// Reads the server name of the client's TLS hello.
/// Answers: the value.
/// Errors: BAD_POINTER, WRONG_HOOK, NOT_FOUND, NO_PERMISSION.
/// In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message.
pub fn getSni(buffer: []u8) Failure![]u8 {
    return filled(buffer, raw.host_get_sni(buffer.ptr, buffer.len));
}

/// Reads the host that CONNECT named.
/// Answers: the value.
/// Errors: BAD_POINTER, WRONG_HOOK, NOT_FOUND, NO_PERMISSION.
/// In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message.
pub fn getConnectHost(buffer: []u8) Failure![]u8 {
    return filled(buffer, raw.host_get_connect_host(buffer.ptr, buffer.len));
}

/// Reads the name of the rule that matched.
/// Answers: the value.
/// Errors: BAD_POINTER, WRONG_HOOK, NOT_FOUND, NO_PERMISSION.
/// In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message.
pub fn getRule(buffer: []u8) Failure![]u8 {
    return filled(buffer, raw.host_get_rule(buffer.ptr, buffer.len));
}

/// Reads the first value of a header of the request, in any hook.
/// Answers: the value.
/// Errors: NOT_FOUND, BAD_POINTER, WRONG_HOOK, NO_PERMISSION.
/// In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message.
pub fn getRequestHeader(name: []const u8, buffer: []u8) Failure![]u8 {
    return filled(buffer, raw.host_get_request_header(name.ptr, name.len, buffer.ptr, buffer.len));
}

/// Reads every value of a header of the hook's message.
/// Answers: a list.
/// Errors: NOT_FOUND, BAD_POINTER, WRONG_HOOK, NO_PERMISSION.
/// In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message.
pub fn getHeaderValues(name: []const u8, buffer: []u8) Failure![]u8 {
    return filled(buffer, raw.host_get_header_values(name.ptr, name.len, buffer.ptr, buffer.len));
}

/// Reads all headers of the hook's message: name, value, name, value.
/// Answers: a list.
/// Errors: NOT_FOUND, BAD_POINTER, WRONG_HOOK, NO_PERMISSION.
/// In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message.
pub fn listHeaders(buffer: []u8) Failure![]u8 {
    return filled(buffer, raw.host_list_headers(buffer.ptr, buffer.len));
}

/// Reads all headers of the request, in any hook.
/// Answers: a list.
/// Errors: BAD_POINTER, WRONG_HOOK, NO_PERMISSION.
/// In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message.
pub fn listRequestHeaders(buffer: []u8) Failure![]u8 {
    return filled(buffer, raw.host_list_request_headers(buffer.ptr, buffer.len));
}

/// Tells the response's status.
/// Answers: the status.
/// Errors: NOT_FOUND, WRONG_HOOK, NO_PERMISSION.
/// In: on_response, on_capture, on_response_chunk, on_sse_event, on_websocket_message.
pub fn getStatus() Failure!u16 {
    return @intCast(try number(raw.host_get_status()));
}

/// Reads the whole body of the hook's message, as it is on the wire.
/// Answers: the value.
/// Errors: NOT_FOUND, BAD_POINTER, WRONG_HOOK, TOO_LARGE, NO_PERMISSION.
/// In: on_request, on_response, on_capture.
pub fn getBody(buffer: []u8) Failure![]u8 {
    return filled(buffer, raw.host_get_body(buffer.ptr, buffer.len));
}

/// Reads the first value of a trailer.
/// Answers: the value.
/// Errors: NOT_FOUND, BAD_POINTER, WRONG_HOOK, TOO_LARGE, NO_PERMISSION.
/// In: on_request, on_response, on_capture, on_request_chunk, on_response_chunk.
pub fn getTrailer(name: []const u8, buffer: []u8) Failure![]u8 {
    return filled(buffer, raw.host_get_trailer(name.ptr, name.len, buffer.ptr, buffer.len));
}

/// Reads all trailers: name, value, name, value.
/// Answers: a list.
/// Errors: NOT_FOUND, BAD_POINTER, WRONG_HOOK, TOO_LARGE, NO_PERMISSION.
/// In: on_request, on_response, on_capture, on_request_chunk, on_response_chunk.
pub fn listTrailers(buffer: []u8) Failure![]u8 {
    return filled(buffer, raw.host_list_trailers(buffer.ptr, buffer.len));
}

/// Reads a fact by its name, as text; BAD_ARGUMENT: there is no such fact.
/// Answers: the value.
/// Errors: NOT_FOUND, BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, NO_PERMISSION.
/// In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message.
pub fn getFact(name: []const u8, buffer: []u8) Failure![]u8 {
    return filled(buffer, raw.host_get_fact(name.ptr, name.len, buffer.ptr, buffer.len));
}

/// Appends a header, keeping those of the same name.
/// Errors: BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, PROTECTED, TOO_LARGE, NO_PERMISSION.
/// In: on_request, on_rule_match, on_response, on_capture.
pub fn addHeader(name: []const u8, val: []const u8) Failure!void {
    return done(raw.host_add_header(name.ptr, name.len, val.ptr, val.len));
}

/// Drops every header of this name.
/// Answers: the number dropped.
/// Errors: BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, PROTECTED, TOO_LARGE, NO_PERMISSION.
/// In: on_request, on_rule_match, on_response, on_capture.
pub fn removeHeader(name: []const u8) Failure!u32 {
    return number(raw.host_remove_header(name.ptr, name.len));
}

/// Sets the method; never from or to CONNECT or HEAD.
/// Errors: BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, NO_PERMISSION.
/// In: on_request, on_rule_match.
pub fn setMethod(val: []const u8) Failure!void {
    return done(raw.host_set_method(val.ptr, val.len));
}

/// Sets path and query; begins with /.
/// Errors: BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, NO_PERMISSION.
/// In: on_request, on_rule_match, on_capture.
pub fn setPath(val: []const u8) Failure!void {
    return done(raw.host_set_path(val.ptr, val.len));
}

/// Sets the status (200 to 599); never from or to one that has no body.
/// Errors: BAD_ARGUMENT, WRONG_HOOK, NO_PERMISSION.
/// In: on_response.
pub fn setStatus(status: u16) Failure!void {
    return done(raw.host_set_status(status));
}

/// Replaces the body of the hook's message.
/// Errors: NOT_FOUND, BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, TOO_LARGE, NO_PERMISSION.
/// In: on_request, on_response, on_capture.
pub fn setBody(val: []const u8) Failure!void {
    return done(raw.host_set_body(val.ptr, val.len));
}

/// Sets a header of the request: replaces the first of this name and drops the others.
/// Errors: BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, PROTECTED, TOO_LARGE, NO_PERMISSION.
/// In: on_request, on_rule_match, on_capture.
pub fn setRequestHeader(name: []const u8, val: []const u8) Failure!void {
    return done(raw.host_set_request_header(name.ptr, name.len, val.ptr, val.len));
}

/// Appends a header of the request, keeping those of the same name.
/// Errors: BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, PROTECTED, TOO_LARGE, NO_PERMISSION.
/// In: on_request, on_rule_match, on_capture.
pub fn addRequestHeader(name: []const u8, val: []const u8) Failure!void {
    return done(raw.host_add_request_header(name.ptr, name.len, val.ptr, val.len));
}

/// Drops every header of the request of this name.
/// Answers: the number dropped.
/// Errors: BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, PROTECTED, TOO_LARGE, NO_PERMISSION.
/// In: on_request, on_rule_match, on_capture.
pub fn removeRequestHeader(name: []const u8) Failure!u32 {
    return number(raw.host_remove_request_header(name.ptr, name.len));
}

/// Reads the whole body of the request, as it is on the wire.
/// Answers: the value.
/// Errors: BAD_POINTER, WRONG_HOOK, TOO_LARGE, NO_PERMISSION.
/// In: on_request, on_response, on_capture.
pub fn getRequestBody(buffer: []u8) Failure![]u8 {
    return filled(buffer, raw.host_get_request_body(buffer.ptr, buffer.len));
}

/// Replaces the body of the request.
/// Errors: BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, TOO_LARGE, NO_PERMISSION.
/// In: on_request, on_capture.
pub fn setRequestBody(val: []const u8) Failure!void {
    return done(raw.host_set_request_body(val.ptr, val.len));
}

/// Sets a trailer of the hook's message: replaces the first of this name and drops the others.
/// Errors: NOT_FOUND, BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, PROTECTED, TOO_LARGE, NO_PERMISSION.
/// In: on_request, on_response, on_capture.
pub fn setTrailer(name: []const u8, val: []const u8) Failure!void {
    return done(raw.host_set_trailer(name.ptr, name.len, val.ptr, val.len));
}

/// Appends a trailer of the hook's message, keeping those of the same name.
/// Errors: NOT_FOUND, BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, PROTECTED, TOO_LARGE, NO_PERMISSION.
/// In: on_request, on_response, on_capture.
pub fn addTrailer(name: []const u8, val: []const u8) Failure!void {
    return done(raw.host_add_trailer(name.ptr, name.len, val.ptr, val.len));
}

/// Drops every trailer of the hook's message of this name.
/// Answers: the number dropped.
/// Errors: NOT_FOUND, BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, PROTECTED, TOO_LARGE, NO_PERMISSION.
/// In: on_request, on_response, on_capture.
pub fn removeTrailer(name: []const u8) Failure!u32 {
    return number(raw.host_remove_trailer(name.ptr, name.len));
}

/// Reads all trailers of the request.
/// Answers: a list.
/// Errors: BAD_POINTER, WRONG_HOOK, TOO_LARGE, NO_PERMISSION.
/// In: on_request, on_response, on_capture.
pub fn listRequestTrailers(buffer: []u8) Failure![]u8 {
    return filled(buffer, raw.host_list_request_trailers(buffer.ptr, buffer.len));
}

/// Sets a trailer of the request: replaces the first of this name and drops the others.
/// Errors: NOT_FOUND, BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, PROTECTED, TOO_LARGE, NO_PERMISSION.
/// In: on_request, on_capture.
pub fn setRequestTrailer(name: []const u8, val: []const u8) Failure!void {
    return done(raw.host_set_request_trailer(name.ptr, name.len, val.ptr, val.len));
}

/// Appends a trailer of the request, keeping those of the same name.
/// Errors: NOT_FOUND, BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, PROTECTED, TOO_LARGE, NO_PERMISSION.
/// In: on_request, on_capture.
pub fn addRequestTrailer(name: []const u8, val: []const u8) Failure!void {
    return done(raw.host_add_request_trailer(name.ptr, name.len, val.ptr, val.len));
}

/// Drops every trailer of the request of this name.
/// Answers: the number dropped.
/// Errors: NOT_FOUND, BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, PROTECTED, TOO_LARGE, NO_PERMISSION.
/// In: on_request, on_capture.
pub fn removeRequestTrailer(name: []const u8) Failure!u32 {
    return number(raw.host_remove_request_trailer(name.ptr, name.len));
}

/// Answers the client (200 to 599); headers are a list: name, value, ….
/// Errors: BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, PROTECTED, TOO_LARGE, NO_PERMISSION.
/// In: on_connect, on_request, on_rule_match, on_response.
pub fn respond(status: u16, headers: []const u8, body: []const u8) Failure!void {
    return done(raw.host_respond(status, headers.ptr, headers.len, body.ptr, body.len));
}

/// Closes without an answer; in on_capture: does not keep the flow; of an event or a message: lets it go no further.
/// Errors: WRONG_HOOK, NO_PERMISSION.
/// In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message.
pub fn drop() Failure!void {
    return done(raw.host_drop());
}

/// Waits after the hook, 5 minutes at most, then goes on.
/// Errors: BAD_ARGUMENT, WRONG_HOOK, NO_PERMISSION.
/// In: on_connect, on_request, on_rule_match, on_response.
pub fn delay(ms: u32) Failure!void {
    return done(raw.host_delay(@bitCast(ms)));
}

/// Reads a key of the plugin's configuration; an empty key: all as JSON.
/// Answers: the value.
/// Errors: NOT_FOUND, BAD_POINTER.
/// In: every hook, and plugin_init.
pub fn getConfig(key: []const u8, buffer: []u8) Failure![]u8 {
    return filled(buffer, raw.host_get_config(key.ptr, key.len, buffer.ptr, buffer.len));
}

/// Tells the time.
/// Answers: milliseconds since 1970-01-01 UTC.
/// Errors: NO_PERMISSION.
/// In: every hook, and plugin_init.
pub fn nowMs() Failure!u64 {
    return wide(raw.host_now_ms());
}

/// Fills the buffer with random bytes.
/// Errors: BAD_POINTER, NO_PERMISSION.
/// In: every hook, and plugin_init.
pub fn random(buffer: []u8) Failure!void {
    return done(raw.host_random(buffer.ptr, buffer.len));
}

/// Reads the chunk, 16 KiB at most; or the event's data, or the message.
/// Answers: the value.
/// Errors: BAD_POINTER, WRONG_HOOK, NO_PERMISSION.
/// In: on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message.
pub fn getChunk(buffer: []u8) Failure![]u8 {
    return filled(buffer, raw.host_get_chunk(buffer.ptr, buffer.len));
}

/// Sets what goes on in the place of the chunk, the event's data or the message, 1 MiB at most; may be empty.
/// Errors: BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, TOO_LARGE, NO_PERMISSION.
/// In: on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message.
pub fn setChunk(val: []const u8) Failure!void {
    return done(raw.host_set_chunk(val.ptr, val.len));
}

/// Tells whether this is the end of the body: an empty chunk after the others.
/// Answers: 1 or 0.
/// Errors: WRONG_HOOK, NO_PERMISSION.
/// In: on_request_chunk, on_response_chunk.
pub fn isLastChunk() Failure!bool {
    return try number(raw.host_is_last_chunk()) != 0;
}

/// Reads the event's `event` (its type), `id` or `retry`.
/// Answers: the value.
/// Errors: NOT_FOUND, BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, NO_PERMISSION.
/// In: on_sse_event.
pub fn getEventField(name: []const u8, buffer: []u8) Failure![]u8 {
    return filled(buffer, raw.host_get_event_field(name.ptr, name.len, buffer.ptr, buffer.len));
}

/// Sets the event's `event`, `id` or `retry`.
/// Errors: BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, TOO_LARGE, NO_PERMISSION.
/// In: on_sse_event.
pub fn setEventField(name: []const u8, val: []const u8) Failure!void {
    return done(raw.host_set_event_field(name.ptr, name.len, val.ptr, val.len));
}

/// Takes the content codings off the hook's message, now and further on.
/// Answers: the number taken off; 0: it has none.
/// Errors: NOT_FOUND, BAD_ARGUMENT, WRONG_HOOK, PROTECTED, TOO_LARGE, NO_PERMISSION.
/// In: on_request, on_response.
pub fn decodeBody() Failure!u32 {
    return number(raw.host_decode_body());
}

/// Sends the request to this http or https URL; Host follows.
/// Errors: BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, NO_PERMISSION.
/// In: on_request, on_rule_match.
pub fn setUrl(url: []const u8) Failure!void {
    return done(raw.host_set_url(url.ptr, url.len));
}

/// Dials this host and port in place of the origin, whose names stay.
/// Errors: BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, NO_PERMISSION.
/// In: on_connect.
pub fn setUpstream(host: []const u8, port: u16) Failure!void {
    return done(raw.host_set_upstream(host.ptr, host.len, port));
}

/// Relays this connection unread.
/// Errors: WRONG_HOOK, NO_PERMISSION.
/// In: on_connect.
pub fn passThrough() Failure!void {
    return done(raw.host_pass_through());
}

/// Reads the flow's tags.
/// Answers: a list.
/// Errors: BAD_POINTER, WRONG_HOOK, NO_PERMISSION.
/// In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message.
pub fn listTags(buffer: []u8) Failure![]u8 {
    return filled(buffer, raw.host_list_tags(buffer.ptr, buffer.len));
}

/// Adds a UTF-8 tag to the flow.
/// Errors: BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, TOO_LARGE, NO_PERMISSION.
/// In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message.
pub fn tag(val: []const u8) Failure!void {
    return done(raw.host_tag(val.ptr, val.len));
}

/// Takes away a tag that this plugin added.
/// Errors: NOT_FOUND, BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, PROTECTED, NO_PERMISSION.
/// In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message.
pub fn removeTag(val: []const u8) Failure!void {
    return done(raw.host_remove_tag(val.ptr, val.len));
}

/// Reads a key of the plugin's state.
/// Answers: the value.
/// Errors: NOT_FOUND, BAD_POINTER, UNREACHABLE, NO_PERMISSION.
/// In: every hook, and plugin_init.
pub fn kvGet(key: []const u8, buffer: []u8) Failure![]u8 {
    return filled(buffer, raw.host_kv_get(key.ptr, key.len, buffer.ptr, buffer.len));
}

/// Keeps a value under a key, without an end.
/// Errors: BAD_POINTER, BAD_ARGUMENT, TOO_LARGE, UNREACHABLE, NO_PERMISSION.
/// In: every hook, and plugin_init.
pub fn kvSet(key: []const u8, val: []const u8) Failure!void {
    return done(raw.host_kv_set(key.ptr, key.len, val.ptr, val.len));
}

/// Adds to a number, which begins at 0 and never falls below it.
/// Answers: the number.
/// Errors: BAD_POINTER, BAD_ARGUMENT, TOO_LARGE, UNREACHABLE, NO_PERMISSION.
/// In: every hook, and plugin_init.
pub fn kvAdd(key: []const u8, delta: i32) Failure!u64 {
    return wide(raw.host_kv_add(key.ptr, key.len, delta));
}

/// Lets a key end that long from now.
/// Errors: NOT_FOUND, BAD_POINTER, UNREACHABLE, NO_PERMISSION.
/// In: every hook, and plugin_init.
pub fn kvExpire(key: []const u8, ms: u32) Failure!void {
    return done(raw.host_kv_expire(key.ptr, key.len, @bitCast(ms)));
}

/// Forgets a key.
/// Errors: NOT_FOUND, BAD_POINTER, UNREACHABLE, NO_PERMISSION.
/// In: every hook, and plugin_init.
pub fn kvDelete(key: []const u8) Failure!void {
    return done(raw.host_kv_delete(key.ptr, key.len));
}

/// Reads the keys that begin with a prefix, in order.
/// Answers: a list.
/// Errors: BAD_POINTER, UNREACHABLE, NO_PERMISSION.
/// In: every hook, and plugin_init.
pub fn kvList(prefix: []const u8, buffer: []u8) Failure![]u8 {
    return filled(buffer, raw.host_kv_list(prefix.ptr, prefix.len, buffer.ptr, buffer.len));
}

/// Reads what a plugin left on this flow under a key.
/// Answers: the value.
/// Errors: NOT_FOUND, BAD_POINTER, WRONG_HOOK, NO_PERMISSION.
/// In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message.
pub fn contextGet(key: []const u8, buffer: []u8) Failure![]u8 {
    return filled(buffer, raw.host_context_get(key.ptr, key.len, buffer.ptr, buffer.len));
}

/// Leaves a value on this flow, for later hooks and plugins.
/// Errors: BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, TOO_LARGE, NO_PERMISSION.
/// In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message.
pub fn contextSet(key: []const u8, val: []const u8) Failure!void {
    return done(raw.host_context_set(key.ptr, key.len, val.ptr, val.len));
}

/// Listens to a topic: its messages come to on_message.
/// Errors: BAD_POINTER, BAD_ARGUMENT, TOO_LARGE, NO_PERMISSION.
/// In: every hook, and plugin_init.
pub fn subscribe(topic: []const u8) Failure!void {
    return done(raw.host_subscribe(topic.ptr, topic.len));
}

/// Sends a message to the plugins that listen, after this call.
/// Answers: the number of plugins that will get it.
/// Errors: BAD_POINTER, BAD_ARGUMENT, TOO_LARGE, TOO_DEEP, NO_PERMISSION.
/// In: every hook, and plugin_init.
pub fn publish(topic: []const u8, val: []const u8) Failure!u32 {
    return number(raw.host_publish(topic.ptr, topic.len, val.ptr, val.len));
}

/// Reads the topic of the message.
/// Answers: the value.
/// Errors: BAD_POINTER, WRONG_HOOK, NO_PERMISSION.
/// In: on_message.
pub fn getTopic(buffer: []u8) Failure![]u8 {
    return filled(buffer, raw.host_get_topic(buffer.ptr, buffer.len));
}

/// Reads the message.
/// Answers: the value.
/// Errors: BAD_POINTER, WRONG_HOOK, NO_PERMISSION.
/// In: on_message.
pub fn getMessage(buffer: []u8) Failure![]u8 {
    return filled(buffer, raw.host_get_message(buffer.ptr, buffer.len));
}

/// Reads the name of the plugin that sent the message.
/// Answers: the value.
/// Errors: BAD_POINTER, WRONG_HOOK, NO_PERMISSION.
/// In: on_message.
pub fn getSender(buffer: []u8) Failure![]u8 {
    return filled(buffer, raw.host_get_sender(buffer.ptr, buffer.len));
}

/// Sends an HTTP request and waits for the answer; both are lists: method, URL, body, then header name, value, …; status, body, then header name, value, ….
/// Answers: a list.
/// Errors: BAD_POINTER, BAD_ARGUMENT, PROTECTED, TOO_LARGE, UNREACHABLE, NO_PERMISSION.
/// In: every hook, and plugin_init.
pub fn httpFetch(request: []const u8, buffer: []u8) Failure![]u8 {
    return filled(buffer, raw.host_http_fetch(request.ptr, request.len, buffer.ptr, buffer.len));
}

/// A list in the ABI's form, built in `buffer`: headers are name, value, name, value.
pub const List = struct {
    buffer: []u8,
    length: usize = 0,

    pub fn push(self: *List, item: []const u8) Failure!void {
        const room = self.buffer[self.length..];
        if (room.len < 4 or room.len - 4 < item.len) return Failure.TooSmall;
        inline for (0..4) |at| room[at] = @truncate(item.len >> (8 * at));
        @memcpy(room[4..][0..item.len], item);
        self.length += 4 + item.len;
    }

    pub fn bytes(self: *const List) []const u8 {
        return self.buffer[0..self.length];
    }
};

/// The items of a list that a host function gave.
pub const Items = struct {
    list: []const u8,

    pub fn next(self: *Items) ?[]const u8 {
        if (self.list.len < 4) return null;
        var length: usize = 0;
        inline for (0..4) |at| length |= @as(usize, self.list[at]) << (8 * at);
        if (self.list.len - 4 < length) return null;
        defer self.list = self.list[4 + length ..];
        return self.list[4..][0..length];
    }
};
