//! Sets one header on every request and every response.
//!
//! `[config]`: `header` (default `x-int3rceptor`) and `value` (default `header-stamp`).
#![no_std]

use int3rceptor_guest::{get_config, log, set_header, Level, CONTINUE, ERROR};

const MAX_NAME: usize = 128;
const MAX_VALUE: usize = 512;

fn stamp() -> i32 {
    let (mut name, mut value) = ([0; MAX_NAME], [0; MAX_VALUE]);
    let name = get_config("header", &mut name).unwrap_or(b"x-int3rceptor");
    let value = get_config("value", &mut value).unwrap_or(b"header-stamp");
    match set_header(name, value) {
        Ok(()) => CONTINUE,
        Err(_) => {
            log(Level::Error, "the configured header cannot be set");
            ERROR
        }
    }
}

#[no_mangle]
pub extern "C" fn on_request() -> i32 {
    stamp()
}

#[no_mangle]
pub extern "C" fn on_response() -> i32 {
    stamp()
}
