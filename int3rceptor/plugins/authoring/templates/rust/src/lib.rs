//! Sets a header on each response, and tags the flow of one that is an error.
#![no_std]

#[allow(dead_code)]
#[rustfmt::skip]
mod int3rceptor;

use int3rceptor::{get_config, get_status, log, set_header, tag, Failure, Level, CONTINUE, ERROR};

fn stamp() -> Result<(), Failure> {
    let (mut header, mut value) = ([0; 128], [0; 1024]);
    let header = get_config("header", &mut header)?;
    let value = get_config("value", &mut value)?;
    set_header(header, value)?;
    if get_status()? >= 400 {
        tag("error")?;
    }
    Ok(())
}

#[no_mangle]
pub extern "C" fn on_response() -> i32 {
    match stamp() {
        Ok(()) => CONTINUE,
        Err(_) => {
            log(Level::Error, "the response cannot be stamped");
            ERROR
        }
    }
}
