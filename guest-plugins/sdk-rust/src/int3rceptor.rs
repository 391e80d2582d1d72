//! Safe, allocation-free access to INT3RCEPTOR's host functions.
//! Written by int3rceptor.plugins.authoring.bindings.
//!
//! Every out-parameter is a slice that the caller brings; what the host wrote comes back
//! as the filled part of it. Nothing here can panic or allocate, so a plugin that uses it
//! stays around a kilobyte. The contract behind it is `docs/plugin-abi.md`.

use core::cell::UnsafeCell;

/// What a hook returns.
pub const CONTINUE: i32 = 0;
pub const RESPOND: i32 = 1;
pub const DROP: i32 = 2;
pub const ERROR: i32 = -1;

/// The levels of [`log`].
#[derive(Clone, Copy)]
pub enum Level {
    Debug = 0,
    Info = 1,
    Warn = 2,
    Error = 3,
}

/// Why a host function did not do it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The buffer is too small; the length that is needed.
    TooSmall(usize),
    NotFound,
    BadPointer,
    BadArgument,
    WrongHook,
    NoPermission,
    Protected,
    TooLarge,
    TooDeep,
    Unreachable,
    /// A status code that this file does not know.
    Status(i32),
}

impl Failure {
    const fn of(status: i32) -> Self {
        match status {
            -1 => Failure::NotFound,
            -2 => Failure::BadPointer,
            -3 => Failure::BadArgument,
            -4 => Failure::WrongHook,
            -5 => Failure::NoPermission,
            -6 => Failure::Protected,
            -7 => Failure::TooLarge,
            -8 => Failure::TooDeep,
            -9 => Failure::Unreachable,
            other => Failure::Status(other),
        }
    }
}

/// The host functions as they are imported.
pub mod raw {
    #[link(wasm_import_module = "env")]
    extern "C" {
        pub fn host_log(level: i32, ptr: *const u8, len: usize) -> i32;
        pub fn host_get_memory_size() -> i32;
        pub fn host_abort(ptr: *const u8, len: usize) -> i32;
        pub fn host_get_header(name_ptr: *const u8, name_len: usize, val_ptr: *mut u8, val_max: usize) -> i32;
        pub fn host_set_header(name_ptr: *const u8, name_len: usize, val_ptr: *const u8, val_len: usize) -> i32;
        pub fn host_get_method(buf_ptr: *mut u8, max_len: usize) -> i32;
        pub fn host_get_url(buf_ptr: *mut u8, buf_len: usize) -> i32;
        pub fn host_get_scheme(buf_ptr: *mut u8, buf_len: usize) -> i32;
        pub fn host_get_host(buf_ptr: *mut u8, buf_len: usize) -> i32;
        pub fn host_get_port() -> i32;
        pub fn host_get_path(buf_ptr: *mut u8, buf_len: usize) -> i32;
        pub fn host_get_version(buf_ptr: *mut u8, buf_len: usize) -> i32;
        pub fn host_get_client_addr(buf_ptr: *mut u8, buf_len: usize) -> i32;
        pub fn host_get_sni(buf_ptr: *mut u8, buf_len: usize) -> i32;
        pub fn host_get_connect_host(buf_ptr: *mut u8, buf_len: usize) -> i32;
        pub fn host_get_rule(buf_ptr: *mut u8, buf_len: usize) -> i32;
        pub fn host_get_request_header(name_ptr: *const u8, name_len: usize, buf_ptr: *mut u8, buf_len: usize) -> i32;
        pub fn host_get_header_values(name_ptr: *const u8, name_len: usize, buf_ptr: *mut u8, buf_len: usize) -> i32;
        pub fn host_list_headers(buf_ptr: *mut u8, buf_len: usize) -> i32;
        pub fn host_list_request_headers(buf_ptr: *mut u8, buf_len: usize) -> i32;
        pub fn host_get_status() -> i32;
        pub fn host_get_body(buf_ptr: *mut u8, buf_len: usize) -> i32;
        pub fn host_get_trailer(name_ptr: *const u8, name_len: usize, buf_ptr: *mut u8, buf_len: usize) -> i32;
        pub fn host_list_trailers(buf_ptr: *mut u8, buf_len: usize) -> i32;
        pub fn host_get_fact(name_ptr: *const u8, name_len: usize, buf_ptr: *mut u8, buf_len: usize) -> i32;
        pub fn host_add_header(name_ptr: *const u8, name_len: usize, val_ptr: *const u8, val_len: usize) -> i32;
        pub fn host_remove_header(name_ptr: *const u8, name_len: usize) -> i32;
        pub fn host_set_method(val_ptr: *const u8, val_len: usize) -> i32;
        pub fn host_set_path(val_ptr: *const u8, val_len: usize) -> i32;
        pub fn host_set_status(status: i32) -> i32;
        pub fn host_set_body(val_ptr: *const u8, val_len: usize) -> i32;
        pub fn host_set_request_header(name_ptr: *const u8, name_len: usize, val_ptr: *const u8, val_len: usize) -> i32;
        pub fn host_add_request_header(name_ptr: *const u8, name_len: usize, val_ptr: *const u8, val_len: usize) -> i32;
        pub fn host_remove_request_header(name_ptr: *const u8, name_len: usize) -> i32;
        pub fn host_get_request_body(buf_ptr: *mut u8, buf_len: usize) -> i32;
        pub fn host_set_request_body(val_ptr: *const u8, val_len: usize) -> i32;
        pub fn host_set_trailer(name_ptr: *const u8, name_len: usize, val_ptr: *const u8, val_len: usize) -> i32;
        pub fn host_add_trailer(name_ptr: *const u8, name_len: usize, val_ptr: *const u8, val_len: usize) -> i32;
        pub fn host_remove_trailer(name_ptr: *const u8, name_len: usize) -> i32;
        pub fn host_list_request_trailers(buf_ptr: *mut u8, buf_len: usize) -> i32;
        pub fn host_set_request_trailer(name_ptr: *const u8, name_len: usize, val_ptr: *const u8, val_len: usize) -> i32;
        pub fn host_add_request_trailer(name_ptr: *const u8, name_len: usize, val_ptr: *const u8, val_len: usize) -> i32;
        pub fn host_remove_request_trailer(name_ptr: *const u8, name_len: usize) -> i32;
        pub fn host_respond(status: i32, headers_ptr: *const u8, headers_len: usize, body_ptr: *const u8, body_len: usize) -> i32;
        pub fn host_drop() -> i32;
        pub fn host_delay(ms: i32) -> i32;
        pub fn host_get_config(key_ptr: *const u8, key_len: usize, buf_ptr: *mut u8, buf_len: usize) -> i32;
        pub fn host_now_ms() -> i64;
        pub fn host_random(buf_ptr: *mut u8, buf_len: usize) -> i32;
        pub fn host_get_chunk(buf_ptr: *mut u8, buf_len: usize) -> i32;
        pub fn host_set_chunk(val_ptr: *const u8, val_len: usize) -> i32;
        pub fn host_is_last_chunk() -> i32;
        pub fn host_get_event_field(name_ptr: *const u8, name_len: usize, buf_ptr: *mut u8, buf_len: usize) -> i32;
        pub fn host_set_event_field(name_ptr: *const u8, name_len: usize, val_ptr: *const u8, val_len: usize) -> i32;
        pub fn host_decode_body() -> i32;
        pub fn host_set_url(url_ptr: *const u8, url_len: usize) -> i32;
        pub fn host_set_upstream(host_ptr: *const u8, host_len: usize, port: i32) -> i32;
        pub fn host_pass_through() -> i32;
        pub fn host_list_tags(buf_ptr: *mut u8, buf_len: usize) -> i32;
        pub fn host_tag(val_ptr: *const u8, val_len: usize) -> i32;
        pub fn host_remove_tag(val_ptr: *const u8, val_len: usize) -> i32;
        pub fn host_kv_get(key_ptr: *const u8, key_len: usize, buf_ptr: *mut u8, buf_len: usize) -> i32;
        pub fn host_kv_set(key_ptr: *const u8, key_len: usize, val_ptr: *const u8, val_len: usize) -> i32;
        pub fn host_kv_add(key_ptr: *const u8, key_len: usize, delta: i32) -> i64;
        pub fn host_kv_expire(key_ptr: *const u8, key_len: usize, ms: i32) -> i32;
        pub fn host_kv_delete(key_ptr: *const u8, key_len: usize) -> i32;
        pub fn host_kv_list(prefix_ptr: *const u8, prefix_len: usize, buf_ptr: *mut u8, buf_len: usize) -> i32;
        pub fn host_context_get(key_ptr: *const u8, key_len: usize, buf_ptr: *mut u8, buf_len: usize) -> i32;
        pub fn host_context_set(key_ptr: *const u8, key_len: usize, val_ptr: *const u8, val_len: usize) -> i32;
        pub fn host_subscribe(topic_ptr: *const u8, topic_len: usize) -> i32;
        pub fn host_publish(topic_ptr: *const u8, topic_len: usize, val_ptr: *const u8, val_len: usize) -> i32;
        pub fn host_get_topic(buf_ptr: *mut u8, buf_len: usize) -> i32;
        pub fn host_get_message(buf_ptr: *mut u8, buf_len: usize) -> i32;
        pub fn host_get_sender(buf_ptr: *mut u8, buf_len: usize) -> i32;
        pub fn host_http_fetch(request_ptr: *const u8, request_len: usize, buf_ptr: *mut u8, buf_len: usize) -> i32;
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    core::arch::wasm32::unreachable()
}

fn filled(buffer: &mut [u8], answer: i32) -> Result<&[u8], Failure> {
    let length = number(answer)? as usize;
    buffer.get(..length).ok_or(Failure::TooSmall(length))
}

fn number(answer: i32) -> Result<u32, Failure> {
    if answer < 0 { Err(Failure::of(answer)) } else { Ok(answer as u32) }
}

fn wide(answer: i64) -> Result<u64, Failure> {
    if answer < 0 { Err(Failure::of(answer as i32)) } else { Ok(answer as u64) }
}

fn done(answer: i32) -> Result<(), Failure> {
    number(answer).map(|_| ())
}

// SAFETY, for every call below: pointer and length come from one live slice, and the host
// neither keeps the address nor writes past the length.

/// Writes one UTF-8 log line; a level outside 0 to 3 counts as INFO.
/// In: every hook, and plugin_init.
pub fn log(level: Level, text: impl AsRef<[u8]>) {
    let text = text.as_ref();
    let _ = unsafe { raw::host_log(level as i32, text.as_ptr(), text.len()) };
}

/// Tells the size of the module's memory.
/// Answers: pages of 64 KiB.
/// In: every hook, and plugin_init.
pub fn get_memory_size() -> Result<u32, Failure> {
    number(unsafe { raw::host_get_memory_size() })
}

/// Writes an ABORT line to the log; it stops nothing.
/// In: every hook, and plugin_init.
pub fn abort(text: impl AsRef<[u8]>) {
    let text = text.as_ref();
    let _ = unsafe { raw::host_abort(text.as_ptr(), text.len()) };
}

/// Reads the first value of a header of the hook's message.
/// Answers: the value.
/// Errors: NOT_FOUND.
/// In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message.
pub fn get_header<'b>(name: impl AsRef<[u8]>, buffer: &'b mut [u8]) -> Result<&'b [u8], Failure> {
    let name = name.as_ref();
    let answer = unsafe { raw::host_get_header(name.as_ptr(), name.len(), buffer.as_mut_ptr(), buffer.len()) };
    filled(buffer, answer)
}

/// Sets a header: replaces the first of this name and drops the others.
/// Errors: NOT_FOUND.
/// In: on_request, on_rule_match, on_response, on_capture.
pub fn set_header(name: impl AsRef<[u8]>, val: impl AsRef<[u8]>) -> Result<(), Failure> {
    let name = name.as_ref();
    let val = val.as_ref();
    done(unsafe { raw::host_set_header(name.as_ptr(), name.len(), val.as_ptr(), val.len()) })
}

/// Reads the request's method.
/// Answers: the value.
/// Errors: NOT_FOUND.
/// In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message.
pub fn get_method<'b>(buffer: &'b mut [u8]) -> Result<&'b [u8], Failure> {
    let answer = unsafe { raw::host_get_method(buffer.as_mut_ptr(), buffer.len()) };
    filled(buffer, answer)
}

/// Reads the request's URL.
/// Answers: the value.
/// Errors: BAD_POINTER, WRONG_HOOK, NO_PERMISSION.
/// In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message.
pub fn get_url<'b>(buffer: &'b mut [u8]) -> Result<&'b [u8], Failure> {
    let answer = unsafe { raw::host_get_url(buffer.as_mut_ptr(), buffer.len()) };
    filled(buffer, answer)
}

/// Reads http or https.
/// Answers: the value.
/// Errors: BAD_POINTER, WRONG_HOOK, NO_PERMISSION.
/// In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message.
pub fn get_scheme<'b>(buffer: &'b mut [u8]) -> Result<&'b [u8], Failure> {
    let answer = unsafe { raw::host_get_scheme(buffer.as_mut_ptr(), buffer.len()) };
    filled(buffer, answer)
}

/// Reads the host that the request goes to.
/// Answers: the value.
/// Errors: BAD_POINTER, WRONG_HOOK, NO_PERMISSION.
/// In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message.
pub fn get_host<'b>(buffer: &'b mut [u8]) -> Result<&'b [u8], Failure> {
    let answer = unsafe { raw::host_get_host(buffer.as_mut_ptr(), buffer.len()) };
    filled(buffer, answer)
}

/// Tells the port that the request goes to.
/// Answers: the port.
/// Errors: WRONG_HOOK, NO_PERMISSION.
/// In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message.
pub fn get_port() -> Result<u16, Failure> {
    number(unsafe { raw::host_get_port() }).map(|one| one as u16)
}

/// Reads path and query, byte for byte as received.
/// Answers: the value.
/// Errors: BAD_POINTER, WRONG_HOOK, NO_PERMISSION.
/// In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message.
pub fn get_path<'b>(buffer: &'b mut [u8]) -> Result<&'b [u8], Failure> {
    let answer = unsafe { raw::host_get_path(buffer.as_mut_ptr(), buffer.len()) };
    filled(buffer, answer)
}

/// Reads the HTTP version of the hook's message.
/// Answers: the value.
/// Errors: BAD_POINTER, WRONG_HOOK, NO_PERMISSION.
/// In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message.
pub fn get_version<'b>(buffer: &'b mut [u8]) -> Result<&'b [u8], Failure> {
    let answer = unsafe { raw::host_get_version(buffer.as_mut_ptr(), buffer.len()) };
    filled(buffer, answer)
}

/// Reads the client's ADDRESS:PORT.
/// Answers: the value.
/// Errors: BAD_POINTER, WRONG_HOOK, NO_PERMISSION.
/// In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message.
pub fn get_client_addr<'b>(buffer: &'b mut [u8]) -> Result<&'b [u8], Failure> {
    let answer = unsafe { raw::host_get_client_addr(buffer.as_mut_ptr(), buffer.len()) };
    filled(buffer, answer)
}

/// Reads the server name of the client's TLS hello.
/// Answers: the value.
/// Errors: BAD_POINTER, WRONG_HOOK, NOT_FOUND, NO_PERMISSION.
/// In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message.
pub fn get_sni<'b>(buffer: &'b mut [u8]) -> Result<&'b [u8], Failure> {
    let answer = unsafe { raw::host_get_sni(buffer.as_mut_ptr(), buffer.len()) };
    filled(buffer, answer)
}

/// Reads the host that CONNECT named.
/// Answers: the value.
/// Errors: BAD_POINTER, WRONG_HOOK, NOT_FOUND, NO_PERMISSION.
/// In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message.
pub fn get_connect_host<'b>(buffer: &'b mut [u8]) -> Result<&'b [u8], Failure> {
    let answer = unsafe { raw::host_get_connect_host(buffer.as_mut_ptr(), buffer.len()) };
    filled(buffer, answer)
}

/// Reads the name of the rule that matched.
/// Answers: the value.
/// Errors: BAD_POINTER, WRONG_HOOK, NOT_FOUND, NO_PERMISSION.
/// In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message.
pub fn get_rule<'b>(buffer: &'b mut [u8]) -> Result<&'b [u8], Failure> {
    let answer = unsafe { raw::host_get_rule(buffer.as_mut_ptr(), buffer.len()) };
    filled(buffer, answer)
}

/// Reads the first value of a header of the request, in any hook.
/// Answers: the value.
/// Errors: NOT_FOUND, BAD_POINTER, WRONG_HOOK, NO_PERMISSION.
/// In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message.
pub fn get_request_header<'b>(name: impl AsRef<[u8]>, buffer: &'b mut [u8]) -> Result<&'b [u8], Failure> {
    let name = name.as_ref();
    let answer = unsafe { raw::host_get_request_header(name.as_ptr(), name.len(), buffer.as_mut_ptr(), buffer.len()) };
    filled(buffer, answer)
}

/// Reads every value of a header of the hook's message.
/// Answers: a list.
/// Errors: NOT_FOUND, BAD_POINTER, WRONG_HOOK, NO_PERMISSION.
/// In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message.
pub fn get_header_values<'b>(name: impl AsRef<[u8]>, buffer: &'b mut [u8]) -> Result<&'b [u8], Failure> {
    let name = name.as_ref();
    let answer = unsafe { raw::host_get_header_values(name.as_ptr(), name.len(), buffer.as_mut_ptr(), buffer.len()) };
    filled(buffer, answer)
}

/// Reads all headers of the hook's message: name, value, name, value.
/// Answers: a list.
/// Errors: NOT_FOUND, BAD_POINTER, WRONG_HOOK, NO_PERMISSION.
/// In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message.
pub fn list_headers<'b>(buffer: &'b mut [u8]) -> Result<&'b [u8], Failure> {
    let answer = unsafe { raw::host_list_headers(buffer.as_mut_ptr(), buffer.len()) };
    filled(buffer, answer)
}

/// Reads all headers of the request, in any hook.
/// Answers: a list.
/// Errors: BAD_POINTER, WRONG_HOOK, NO_PERMISSION.
/// In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message.
pub fn list_request_headers<'b>(buffer: &'b mut [u8]) -> Result<&'b [u8], Failure> {
    let answer = unsafe { raw::host_list_request_headers(buffer.as_mut_ptr(), buffer.len()) };
    filled(buffer, answer)
}

/// Tells the response's status.
/// Answers: the status.
/// Errors: NOT_FOUND, WRONG_HOOK, NO_PERMISSION.
/// In: on_response, on_capture, on_response_chunk, on_sse_event, on_websocket_message.
pub fn get_status() -> Result<u16, Failure> {
    number(unsafe { raw::host_get_status() }).map(|one| one as u16)
}

/// Reads the whole body of the hook's message, as it is on the wire.
/// Answers: the value.
/// Errors: NOT_FOUND, BAD_POINTER, WRONG_HOOK, TOO_LARGE, NO_PERMISSION.
/// In: on_request, on_response, on_capture.
pub fn get_body<'b>(buffer: &'b mut [u8]) -> Result<&'b [u8], Failure> {
    let answer = unsafe { raw::host_get_body(buffer.as_mut_ptr(), buffer.len()) };
    filled(buffer, answer)
}

/// Reads the first value of a trailer.
/// Answers: the value.
/// Errors: NOT_FOUND, BAD_POINTER, WRONG_HOOK, TOO_LARGE, NO_PERMISSION.
/// In: on_request, on_response, on_capture, on_request_chunk, on_response_chunk.
pub fn get_trailer<'b>(name: impl AsRef<[u8]>, buffer: &'b mut [u8]) -> Result<&'b [u8], Failure> {
    let name = name.as_ref();
    let answer = unsafe { raw::host_get_trailer(name.as_ptr(), name.len(), buffer.as_mut_ptr(), buffer.len()) };
    filled(buffer, answer)
}

/// Reads all trailers: name, value, name, value.
/// Answers: a list.
/// Errors: NOT_FOUND, BAD_POINTER, WRONG_HOOK, TOO_LARGE, NO_PERMISSION.
/// In: on_request, on_response, on_capture, on_request_chunk, on_response_chunk.
pub fn list_trailers<'b>(buffer: &'b mut [u8]) -> Result<&'b [u8], Failure> {
    let answer = unsafe { raw::host_list_trailers(buffer.as_mut_ptr(), buffer.len()) };
    filled(buffer, answer)
}

/// Reads a fact by its name, as text; BAD_ARGUMENT: there is no such fact.
/// Answers: the value.
/// Errors: NOT_FOUND, BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, NO_PERMISSION.
/// In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message.
pub fn get_fact<'b>(name: impl AsRef<[u8]>, buffer: &'b mut [u8]) -> Result<&'b [u8], Failure> {
    let name = name.as_ref();
    let answer = unsafe { raw::host_get_fact(name.as_ptr(), name.len(), buffer.as_mut_ptr(), buffer.len()) };
    filled(buffer, answer)
}

/// Appends a header, keeping those of the same name.
/// Errors: BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, PROTECTED, TOO_LARGE, NO_PERMISSION.
/// In: on_request, on_rule_match, on_response, on_capture.
pub fn add_header(name: impl AsRef<[u8]>, val: impl AsRef<[u8]>) -> Result<(), Failure> {
    let name = name.as_ref();
    let val = val.as_ref();
    done(unsafe { raw::host_add_header(name.as_ptr(), name.len(), val.as_ptr(), val.len()) })
}

/// Drops every header of this name.
/// Answers: the number dropped.
/// Errors: BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, PROTECTED, TOO_LARGE, NO_PERMISSION.
/// In: on_request, on_rule_match, on_response, on_capture.
pub fn remove_header(name: impl AsRef<[u8]>) -> Result<u32, Failure> {
    let name = name.as_ref();
    number(unsafe { raw::host_remove_header(name.as_ptr(), name.len()) })
}

/// Sets the method; never from or to CONNECT or HEAD.
/// Errors: BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, NO_PERMISSION.
/// In: on_request, on_rule_match.
pub fn set_method(val: impl AsRef<[u8]>) -> Result<(), Failure> {
    let val = val.as_ref();
    done(unsafe { raw::host_set_method(val.as_ptr(), val.len()) })
}

/// Sets path and query; begins with /.
/// Errors: BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, NO_PERMISSION.
/// In: on_request, on_rule_match, on_capture.
pub fn set_path(val: impl AsRef<[u8]>) -> Result<(), Failure> {
    let val = val.as_ref();
    done(unsafe { raw::host_set_path(val.as_ptr(), val.len()) })
}

/// Sets the status (200 to 599); never from or to one that has no body.
/// Errors: BAD_ARGUMENT, WRONG_HOOK, NO_PERMISSION.
/// In: on_response.
pub fn set_status(status: u16) -> Result<(), Failure> {
    done(unsafe { raw::host_set_status(i32::from(status)) })
}

/// Replaces the body of the hook's message.
/// Errors: NOT_FOUND, BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, TOO_LARGE, NO_PERMISSION.
/// In: on_request, on_response, on_capture.
pub fn set_body(val: impl AsRef<[u8]>) -> Result<(), Failure> {
    let val = val.as_ref();
    done(unsafe { raw::host_set_body(val.as_ptr(), val.len()) })
}

/// Sets a header of the request: replaces the first of this name and drops the others.
/// Errors: BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, PROTECTED, TOO_LARGE, NO_PERMISSION.
/// In: on_request, on_rule_match, on_capture.
pub fn set_request_header(name: impl AsRef<[u8]>, val: impl AsRef<[u8]>) -> Result<(), Failure> {
    let name = name.as_ref();
    let val = val.as_ref();
    done(unsafe { raw::host_set_request_header(name.as_ptr(), name.len(), val.as_ptr(), val.len()) })
}

/// Appends a header of the request, keeping those of the same name.
/// Errors: BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, PROTECTED, TOO_LARGE, NO_PERMISSION.
/// In: on_request, on_rule_match, on_capture.
pub fn add_request_header(name: impl AsRef<[u8]>, val: impl AsRef<[u8]>) -> Result<(), Failure> {
    let name = name.as_ref();
    let val = val.as_ref();
    done(unsafe { raw::host_add_request_header(name.as_ptr(), name.len(), val.as_ptr(), val.len()) })
}

/// Drops every header of the request of this name.
/// Answers: the number dropped.
/// Errors: BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, PROTECTED, TOO_LARGE, NO_PERMISSION.
/// In: on_request, on_rule_match, on_capture.
pub fn remove_request_header(name: impl AsRef<[u8]>) -> Result<u32, Failure> {
    let name = name.as_ref();
    number(unsafe { raw::host_remove_request_header(name.as_ptr(), name.len()) })
}

/// Reads the whole body of the request, as it is on the wire.
/// Answers: the value.
/// Errors: BAD_POINTER, WRONG_HOOK, TOO_LARGE, NO_PERMISSION.
/// In: on_request, on_response, on_capture.
pub fn get_request_body<'b>(buffer: &'b mut [u8]) -> Result<&'b [u8], Failure> {
    let answer = unsafe { raw::host_get_request_body(buffer.as_mut_ptr(), buffer.len()) };
    filled(buffer, answer)
}

/// Replaces the body of the request.
/// Errors: BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, TOO_LARGE, NO_PERMISSION.
/// In: on_request, on_capture.
pub fn set_request_body(val: impl AsRef<[u8]>) -> Result<(), Failure> {
    let val = val.as_ref();
    done(unsafe { raw::host_set_request_body(val.as_ptr(), val.len()) })
}

/// Sets a trailer of the hook's message: replaces the first of this name and drops the others.
/// Errors: NOT_FOUND, BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, PROTECTED, TOO_LARGE, NO_PERMISSION.
/// In: on_request, on_response, on_capture.
pub fn set_trailer(name: impl AsRef<[u8]>, val: impl AsRef<[u8]>) -> Result<(), Failure> {
    let name = name.as_ref();
    let val = val.as_ref();
    done(unsafe { raw::host_set_trailer(name.as_ptr(), name.len(), val.as_ptr(), val.len()) })
}

/// Appends a trailer of the hook's message, keeping those of the same name.
/// Errors: NOT_FOUND, BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, PROTECTED, TOO_LARGE, NO_PERMISSION.
/// In: on_request, on_response, on_capture.
pub fn add_trailer(name: impl AsRef<[u8]>, val: impl AsRef<[u8]>) -> Result<(), Failure> {
    let name = name.as_ref();
    let val = val.as_ref();
    done(unsafe { raw::host_add_trailer(name.as_ptr(), name.len(), val.as_ptr(), val.len()) })
}

/// Drops every trailer of the hook's message of this name.
/// Answers: the number dropped.
/// Errors: NOT_FOUND, BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, PROTECTED, TOO_LARGE, NO_PERMISSION.
/// In: on_request, on_response, on_capture.
pub fn remove_trailer(name: impl AsRef<[u8]>) -> Result<u32, Failure> {
    let name = name.as_ref();
    number(unsafe { raw::host_remove_trailer(name.as_ptr(), name.len()) })
}

/// Reads all trailers of the request.
/// Answers: a list.
/// Errors: BAD_POINTER, WRONG_HOOK, TOO_LARGE, NO_PERMISSION.
/// In: on_request, on_response, on_capture.
pub fn list_request_trailers<'b>(buffer: &'b mut [u8]) -> Result<&'b [u8], Failure> {
    let answer = unsafe { raw::host_list_request_trailers(buffer.as_mut_ptr(), buffer.len()) };
    filled(buffer, answer)
}

/// Sets a trailer of the request: replaces the first of this name and drops the others.
/// Errors: NOT_FOUND, BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, PROTECTED, TOO_LARGE, NO_PERMISSION.
/// In: on_request, on_capture.
pub fn set_request_trailer(name: impl AsRef<[u8]>, val: impl AsRef<[u8]>) -> Result<(), Failure> {
    let name = name.as_ref();
    let val = val.as_ref();
    done(unsafe { raw::host_set_request_trailer(name.as_ptr(), name.len(), val.as_ptr(), val.len()) })
}

/// Appends a trailer of the request, keeping those of the same name.
/// Errors: NOT_FOUND, BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, PROTECTED, TOO_LARGE, NO_PERMISSION.
/// In: on_request, on_capture.
pub fn add_request_trailer(name: impl AsRef<[u8]>, val: impl AsRef<[u8]>) -> Result<(), Failure> {
    let name = name.as_ref();
    let val = val.as_ref();
    done(unsafe { raw::host_add_request_trailer(name.as_ptr(), name.len(), val.as_ptr(), val.len()) })
}

/// Drops every trailer of the request of this name.
/// Answers: the number dropped.
/// Errors: NOT_FOUND, BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, PROTECTED, TOO_LARGE, NO_PERMISSION.
/// In: on_request, on_capture.
pub fn remove_request_trailer(name: impl AsRef<[u8]>) -> Result<u32, Failure> {
    let name = name.as_ref();
    number(unsafe { raw::host_remove_request_trailer(name.as_ptr(), name.len()) })
}

/// Answers the client (200 to 599); headers are a list: name, value, ….
/// Errors: BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, PROTECTED, TOO_LARGE, NO_PERMISSION.
/// In: on_connect, on_request, on_rule_match, on_response.
pub fn respond(status: u16, headers: impl AsRef<[u8]>, body: impl AsRef<[u8]>) -> Result<(), Failure> {
    let headers = headers.as_ref();
    let body = body.as_ref();
    done(unsafe { raw::host_respond(i32::from(status), headers.as_ptr(), headers.len(), body.as_ptr(), body.len()) })
}

/// Closes without an answer; in on_capture: does not keep the flow; of an event or a message: lets it go no further.
/// Errors: WRONG_HOOK, NO_PERMISSION.
/// In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message.
pub fn drop() -> Result<(), Failure> {
    done(unsafe { raw::host_drop() })
}

/// Waits after the hook, 5 minutes at most, then goes on.
/// Errors: BAD_ARGUMENT, WRONG_HOOK, NO_PERMISSION.
/// In: on_connect, on_request, on_rule_match, on_response.
pub fn delay(ms: u32) -> Result<(), Failure> {
    done(unsafe { raw::host_delay(ms as i32) })
}

/// Reads a key of the plugin's configuration; an empty key: all as JSON.
/// Answers: the value.
/// Errors: NOT_FOUND, BAD_POINTER.
/// In: every hook, and plugin_init.
pub fn get_config<'b>(key: impl AsRef<[u8]>, buffer: &'b mut [u8]) -> Result<&'b [u8], Failure> {
    let key = key.as_ref();
    let answer = unsafe { raw::host_get_config(key.as_ptr(), key.len(), buffer.as_mut_ptr(), buffer.len()) };
    filled(buffer, answer)
}

/// Tells the time.
/// Answers: milliseconds since 1970-01-01 UTC.
/// Errors: NO_PERMISSION.
/// In: every hook, and plugin_init.
pub fn now_ms() -> Result<u64, Failure> {
    wide(unsafe { raw::host_now_ms() })
}

/// Fills the buffer with random bytes.
/// Errors: BAD_POINTER, NO_PERMISSION.
/// In: every hook, and plugin_init.
pub fn random(buffer: &mut [u8]) -> Result<(), Failure> {
    done(unsafe { raw::host_random(buffer.as_mut_ptr(), buffer.len()) })
}

/// Reads the chunk, 16 KiB at most; or the event's data, or the message.
/// Answers: the value.
/// Errors: BAD_POINTER, WRONG_HOOK, NO_PERMISSION.
/// In: on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message.
pub fn get_chunk<'b>(buffer: &'b mut [u8]) -> Result<&'b [u8], Failure> {
    let answer = unsafe { raw::host_get_chunk(buffer.as_mut_ptr(), buffer.len()) };
    filled(buffer, answer)
}

/// Sets what goes on in the place of the chunk, the event's data or the message, 1 MiB at most; may be empty.
/// Errors: BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, TOO_LARGE, NO_PERMISSION.
/// In: on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message.
pub fn set_chunk(val: impl AsRef<[u8]>) -> Result<(), Failure> {
    let val = val.as_ref();
    done(unsafe { raw::host_set_chunk(val.as_ptr(), val.len()) })
}

/// Tells whether this is the end of the body: an empty chunk after the others.
/// Answers: 1 or 0.
/// Errors: WRONG_HOOK, NO_PERMISSION.
/// In: on_request_chunk, on_response_chunk.
pub fn is_last_chunk() -> Result<bool, Failure> {
    number(unsafe { raw::host_is_last_chunk() }).map(|one| one != 0)
}

/// Reads the event's `event` (its type), `id` or `retry`.
/// Answers: the value.
/// Errors: NOT_FOUND, BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, NO_PERMISSION.
/// In: on_sse_event.
pub fn get_event_field<'b>(name: impl AsRef<[u8]>, buffer: &'b mut [u8]) -> Result<&'b [u8], Failure> {
    let name = name.as_ref();
    let answer = unsafe { raw::host_get_event_field(name.as_ptr(), name.len(), buffer.as_mut_ptr(), buffer.len()) };
    filled(buffer, answer)
}

/// Sets the event's `event`, `id` or `retry`.
/// Errors: BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, TOO_LARGE, NO_PERMISSION.
/// In: on_sse_event.
pub fn set_event_field(name: impl AsRef<[u8]>, val: impl AsRef<[u8]>) -> Result<(), Failure> {
    let name = name.as_ref();
    let val = val.as_ref();
    done(unsafe { raw::host_set_event_field(name.as_ptr(), name.len(), val.as_ptr(), val.len()) })
}

/// Takes the content codings off the hook's message, now and further on.
/// Answers: the number taken off; 0: it has none.
/// Errors: NOT_FOUND, BAD_ARGUMENT, WRONG_HOOK, PROTECTED, TOO_LARGE, NO_PERMISSION.
/// In: on_request, on_response.
pub fn decode_body() -> Result<u32, Failure> {
    number(unsafe { raw::host_decode_body() })
}

/// Sends the request to this http or https URL; Host follows.
/// Errors: BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, NO_PERMISSION.
/// In: on_request, on_rule_match.
pub fn set_url(url: impl AsRef<[u8]>) -> Result<(), Failure> {
    let url = url.as_ref();
    done(unsafe { raw::host_set_url(url.as_ptr(), url.len()) })
}

/// Dials this host and port in place of the origin, whose names stay.
/// Errors: BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, NO_PERMISSION.
/// In: on_connect.
pub fn set_upstream(host: impl AsRef<[u8]>, port: u16) -> Result<(), Failure> {
    let host = host.as_ref();
    done(unsafe { raw::host_set_upstream(host.as_ptr(), host.len(), i32::from(port)) })
}

/// Relays this connection unread.
/// Errors: WRONG_HOOK, NO_PERMISSION.
/// In: on_connect.
pub fn pass_through() -> Result<(), Failure> {
    done(unsafe { raw::host_pass_through() })
}

/// Reads the flow's tags.
/// Answers: a list.
/// Errors: BAD_POINTER, WRONG_HOOK, NO_PERMISSION.
/// In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message.
pub fn list_tags<'b>(buffer: &'b mut [u8]) -> Result<&'b [u8], Failure> {
    let answer = unsafe { raw::host_list_tags(buffer.as_mut_ptr(), buffer.len()) };
    filled(buffer, answer)
}

/// Adds a UTF-8 tag to the flow.
/// Errors: BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, TOO_LARGE, NO_PERMISSION.
/// In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message.
pub fn tag(val: impl AsRef<[u8]>) -> Result<(), Failure> {
    let val = val.as_ref();
    done(unsafe { raw::host_tag(val.as_ptr(), val.len()) })
}

/// Takes away a tag that this plugin added.
/// Errors: NOT_FOUND, BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, PROTECTED, NO_PERMISSION.
/// In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message.
pub fn remove_tag(val: impl AsRef<[u8]>) -> Result<(), Failure> {
    let val = val.as_ref();
    done(unsafe { raw::host_remove_tag(val.as_ptr(), val.len()) })
}

/// Reads a key of the plugin's state.
/// Answers: the value.
/// Errors: NOT_FOUND, BAD_POINTER, UNREACHABLE, NO_PERMISSION.
/// In: every hook, and plugin_init.
pub fn kv_get<'b>(key: impl AsRef<[u8]>, buffer: &'b mut [u8]) -> Result<&'b [u8], Failure> {
    let key = key.as_ref();
    let answer = unsafe { raw::host_kv_get(key.as_ptr(), key.len(), buffer.as_mut_ptr(), buffer.len()) };
    filled(buffer, answer)
}

/// Keeps a value under a key, without an end.
/// Errors: BAD_POINTER, BAD_ARGUMENT, TOO_LARGE, UNREACHABLE, NO_PERMISSION.
/// In: every hook, and plugin_init.
pub fn kv_set(key: impl AsRef<[u8]>, val: impl AsRef<[u8]>) -> Result<(), Failure> {
    let key = key.as_ref();
    let val = val.as_ref();
    done(unsafe { raw::host_kv_set(key.as_ptr(), key.len(), val.as_ptr(), val.len()) })
}

/// Adds to a number, which begins at 0 and never falls below it.
/// Answers: the number.
/// Errors: BAD_POINTER, BAD_ARGUMENT, TOO_LARGE, UNREACHABLE, NO_PERMISSION.
/// In: every hook, and plugin_init.
pub fn kv_add(key: impl AsRef<[u8]>, delta: i32) -> Result<u64, Failure> {
    let key = key.as_ref();
    wide(unsafe { raw::host_kv_add(key.as_ptr(), key.len(), delta) })
}

/// Lets a key end that long from now.
/// Errors: NOT_FOUND, BAD_POINTER, UNREACHABLE, NO_PERMISSION.
/// In: every hook, and plugin_init.
pub fn kv_expire(key: impl AsRef<[u8]>, ms: u32) -> Result<(), Failure> {
    let key = key.as_ref();
    done(unsafe { raw::host_kv_expire(key.as_ptr(), key.len(), ms as i32) })
}

/// Forgets a key.
/// Errors: NOT_FOUND, BAD_POINTER, UNREACHABLE, NO_PERMISSION.
/// In: every hook, and plugin_init.
pub fn kv_delete(key: impl AsRef<[u8]>) -> Result<(), Failure> {
    let key = key.as_ref();
    done(unsafe { raw::host_kv_delete(key.as_ptr(), key.len()) })
}

/// Reads the keys that begin with a prefix, in order.
/// Answers: a list.
/// Errors: BAD_POINTER, UNREACHABLE, NO_PERMISSION.
/// In: every hook, and plugin_init.
pub fn kv_list<'b>(prefix: impl AsRef<[u8]>, buffer: &'b mut [u8]) -> Result<&'b [u8], Failure> {
    let prefix = prefix.as_ref();
    let answer = unsafe { raw::host_kv_list(prefix.as_ptr(), prefix.len(), buffer.as_mut_ptr(), buffer.len()) };
    filled(buffer, answer)
}

/// Reads what a plugin left on this flow under a key.
/// Answers: the value.
/// Errors: NOT_FOUND, BAD_POINTER, WRONG_HOOK, NO_PERMISSION.
/// In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message.
pub fn context_get<'b>(key: impl AsRef<[u8]>, buffer: &'b mut [u8]) -> Result<&'b [u8], Failure> {
    let key = key.as_ref();
    let answer = unsafe { raw::host_context_get(key.as_ptr(), key.len(), buffer.as_mut_ptr(), buffer.len()) };
    filled(buffer, answer)
}

/// Leaves a value on this flow, for later hooks and plugins.
/// Errors: BAD_POINTER, BAD_ARGUMENT, WRONG_HOOK, TOO_LARGE, NO_PERMISSION.
/// In: on_connect, on_request, on_response, on_capture, on_rule_match, on_request_chunk, on_response_chunk, on_sse_event, on_websocket_message.
pub fn context_set(key: impl AsRef<[u8]>, val: impl AsRef<[u8]>) -> Result<(), Failure> {
    let key = key.as_ref();
    let val = val.as_ref();
    done(unsafe { raw::host_context_set(key.as_ptr(), key.len(), val.as_ptr(), val.len()) })
}

/// Listens to a topic: its messages come to on_message.
/// Errors: BAD_POINTER, BAD_ARGUMENT, TOO_LARGE, NO_PERMISSION.
/// In: every hook, and plugin_init.
pub fn subscribe(topic: impl AsRef<[u8]>) -> Result<(), Failure> {
    let topic = topic.as_ref();
    done(unsafe { raw::host_subscribe(topic.as_ptr(), topic.len()) })
}

/// Sends a message to the plugins that listen, after this call.
/// Answers: the number of plugins that will get it.
/// Errors: BAD_POINTER, BAD_ARGUMENT, TOO_LARGE, TOO_DEEP, NO_PERMISSION.
/// In: every hook, and plugin_init.
pub fn publish(topic: impl AsRef<[u8]>, val: impl AsRef<[u8]>) -> Result<u32, Failure> {
    let topic = topic.as_ref();
    let val = val.as_ref();
    number(unsafe { raw::host_publish(topic.as_ptr(), topic.len(), val.as_ptr(), val.len()) })
}

/// Reads the topic of the message.
/// Answers: the value.
/// Errors: BAD_POINTER, WRONG_HOOK, NO_PERMISSION.
/// In: on_message.
pub fn get_topic<'b>(buffer: &'b mut [u8]) -> Result<&'b [u8], Failure> {
    let answer = unsafe { raw::host_get_topic(buffer.as_mut_ptr(), buffer.len()) };
    filled(buffer, answer)
}

/// Reads the message.
/// Answers: the value.
/// Errors: BAD_POINTER, WRONG_HOOK, NO_PERMISSION.
/// In: on_message.
pub fn get_message<'b>(buffer: &'b mut [u8]) -> Result<&'b [u8], Failure> {
    let answer = unsafe { raw::host_get_message(buffer.as_mut_ptr(), buffer.len()) };
    filled(buffer, answer)
}

/// Reads the name of the plugin that sent the message.
/// Answers: the value.
/// Errors: BAD_POINTER, WRONG_HOOK, NO_PERMISSION.
/// In: on_message.
pub fn get_sender<'b>(buffer: &'b mut [u8]) -> Result<&'b [u8], Failure> {
    let answer = unsafe { raw::host_get_sender(buffer.as_mut_ptr(), buffer.len()) };
    filled(buffer, answer)
}

/// Sends an HTTP request and waits for the answer; both are lists: method, URL, body, then header name, value, …; status, body, then header name, value, ….
/// Answers: a list.
/// Errors: BAD_POINTER, BAD_ARGUMENT, PROTECTED, TOO_LARGE, UNREACHABLE, NO_PERMISSION.
/// In: every hook, and plugin_init.
pub fn http_fetch<'b>(request: impl AsRef<[u8]>, buffer: &'b mut [u8]) -> Result<&'b [u8], Failure> {
    let request = request.as_ref();
    let answer = unsafe { raw::host_http_fetch(request.as_ptr(), request.len(), buffer.as_mut_ptr(), buffer.len()) };
    filled(buffer, answer)
}

/// A list in the ABI's form, in `N` bytes: headers are name, value, name, value.
pub struct List<const N: usize> {
    bytes: [u8; N],
    length: usize,
}

impl<const N: usize> List<N> {
    pub const fn new() -> Self {
        List { bytes: [0; N], length: 0 }
    }

    /// Append an item; false, and nothing appended, when there is no room for it.
    pub fn push(&mut self, item: impl AsRef<[u8]>) -> bool {
        let item = item.as_ref();
        let start = self.length + 4;
        let end = start + item.len();
        match self.bytes.get_mut(self.length..end) {
            Some(room) => {
                let (length, place) = room.split_at_mut(4);
                length.copy_from_slice(&(item.len() as u32).to_le_bytes());
                place.copy_from_slice(item);
                self.length = end;
                true
            }
            None => false,
        }
    }
}

impl<const N: usize> AsRef<[u8]> for List<N> {
    fn as_ref(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or(&[])
    }
}

/// The items of a list that a host function gave.
pub struct Items<'l>(pub &'l [u8]);

impl<'l> Iterator for Items<'l> {
    type Item = &'l [u8];

    fn next(&mut self) -> Option<&'l [u8]> {
        let length = self.0.get(..4)?;
        let length = u32::from_le_bytes(length.try_into().ok()?) as usize;
        let item = self.0.get(4..4 + length)?;
        self.0 = self.0.get(4 + length..)?;
        Some(item)
    }
}

/// State that lives as long as the instance: from `plugin_init` on, across calls.
pub struct State<T>(UnsafeCell<T>);

// SAFETY: a module is run by one thread at a time and is never re-entered.
unsafe impl<T> Sync for State<T> {}

impl<T> State<T> {
    pub const fn new(value: T) -> Self {
        State(UnsafeCell::new(value))
    }

    /// Work on the state. Not from inside another `with` of the same state.
    pub fn with<R>(&self, work: impl FnOnce(&mut T) -> R) -> R {
        // SAFETY: see Sync above; hooks do not nest.
        work(unsafe { &mut *self.0.get() })
    }
}
