//! The smallest useful plugin: one log line per hook.
//!
//! It speaks to the host without the SDK, to show the whole ABI on one page: `env` imports,
//! exported `() -> i32` functions, messages as pointer and length.
#![no_std]

const INFO: i32 = 1;
const CONTINUE: i32 = 0;

#[link(wasm_import_module = "env")]
extern "C" {
    fn host_log(level: i32, ptr: *const u8, len: usize) -> i32;
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    core::arch::wasm32::unreachable()
}

fn log(message: &str) -> i32 {
    // SAFETY: the pointer and length describe a live string; the host only reads it.
    unsafe { host_log(INFO, message.as_ptr(), message.len()) };
    CONTINUE
}

#[no_mangle]
pub extern "C" fn plugin_init() -> i32 {
    log("example-logger ready")
}

#[no_mangle]
pub extern "C" fn on_connect() -> i32 {
    log("on_connect")
}

#[no_mangle]
pub extern "C" fn on_request() -> i32 {
    log("on_request")
}

#[no_mangle]
pub extern "C" fn on_response() -> i32 {
    log("on_response")
}

#[no_mangle]
pub extern "C" fn on_capture() -> i32 {
    log("on_capture")
}

#[no_mangle]
pub extern "C" fn on_rule_match() -> i32 {
    log("on_rule_match")
}
