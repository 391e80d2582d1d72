//! Safe, allocation-free access to INT3RCEPTOR's host functions.
//!
//! Every out-parameter is a slice that the caller brings; what the host wrote comes back
//! as the filled part of it. Nothing here can panic or allocate, so a plugin that uses it
//! stays around a kilobyte. The contract behind it is `docs/plugin-abi.md`.
#![no_std]

use core::cell::UnsafeCell;

/// What a hook returns.
pub const CONTINUE: i32 = 0;
pub const RESPOND: i32 = 1;
pub const DROP: i32 = 2;
pub const ERROR: i32 = -1;

mod env {
    #[link(wasm_import_module = "env")]
    extern "C" {
        pub fn host_log(level: i32, ptr: *const u8, len: usize) -> i32;
        pub fn host_get_config(key: *const u8, key_len: usize, buf: *mut u8, len: usize) -> i32;
        pub fn host_get_host(buf: *mut u8, len: usize) -> i32;
        pub fn host_get_connect_host(buf: *mut u8, len: usize) -> i32;
        pub fn host_get_sni(buf: *mut u8, len: usize) -> i32;
        pub fn host_get_request_header(
            name: *const u8,
            name_len: usize,
            buf: *mut u8,
            len: usize,
        ) -> i32;
        pub fn host_set_header(
            name: *const u8,
            name_len: usize,
            value: *const u8,
            value_len: usize,
        ) -> i32;
        pub fn host_respond(
            status: i32,
            headers: *const u8,
            headers_len: usize,
            body: *const u8,
            body_len: usize,
        ) -> i32;
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    core::arch::wasm32::unreachable()
}

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
    /// Absent: no such header, key or fact.
    NotFound,
    /// The buffer is too small; the length that is needed.
    TooSmall(usize),
    /// Any other status code of the ABI.
    Status(i32),
}

fn filled(buffer: &mut [u8], length: i32) -> Result<&[u8], Failure> {
    match length {
        -1 => Err(Failure::NotFound),
        code if code < 0 => Err(Failure::Status(code)),
        needed => match buffer.get(..needed as usize) {
            Some(value) => Ok(value),
            None => Err(Failure::TooSmall(needed as usize)),
        },
    }
}

fn done(status: i32) -> Result<(), Failure> {
    match status {
        0 => Ok(()),
        code => Err(Failure::Status(code)),
    }
}

// SAFETY, for every call below: pointer and length come from one live slice, and the host
// neither keeps the address nor writes past the length.

/// Write one line to the proxy's log.
pub fn log(level: Level, message: &str) {
    unsafe { env::host_log(level as i32, message.as_ptr(), message.len()) };
}

/// A key of the plugin's `[config]`; list items are one to a line.
pub fn config<'b>(key: &str, buffer: &'b mut [u8]) -> Result<&'b [u8], Failure> {
    let (ptr, len) = (buffer.as_mut_ptr(), buffer.len());
    let length = unsafe { env::host_get_config(key.as_ptr(), key.len(), ptr, len) };
    filled(buffer, length)
}

/// The host that the request goes to.
pub fn host(buffer: &mut [u8]) -> Result<&[u8], Failure> {
    let length = unsafe { env::host_get_host(buffer.as_mut_ptr(), buffer.len()) };
    filled(buffer, length)
}

/// The host that CONNECT named.
pub fn connect_host(buffer: &mut [u8]) -> Result<&[u8], Failure> {
    let length = unsafe { env::host_get_connect_host(buffer.as_mut_ptr(), buffer.len()) };
    filled(buffer, length)
}

/// The server name of the client's TLS hello.
pub fn sni(buffer: &mut [u8]) -> Result<&[u8], Failure> {
    let length = unsafe { env::host_get_sni(buffer.as_mut_ptr(), buffer.len()) };
    filled(buffer, length)
}

/// The first value of a header of the request, in any hook.
pub fn request_header<'b>(name: &str, buffer: &'b mut [u8]) -> Result<&'b [u8], Failure> {
    let (ptr, len) = (buffer.as_mut_ptr(), buffer.len());
    let length = unsafe { env::host_get_request_header(name.as_ptr(), name.len(), ptr, len) };
    filled(buffer, length)
}

/// Set a header of the hook's message.
pub fn set_header(name: &[u8], value: &[u8]) -> Result<(), Failure> {
    done(unsafe { env::host_set_header(name.as_ptr(), name.len(), value.as_ptr(), value.len()) })
}

/// Answer the client; the hook then returns [`RESPOND`].
pub fn respond<const N: usize>(
    status: i32,
    headers: &List<N>,
    body: &[u8],
) -> Result<(), Failure> {
    let list = headers.as_bytes();
    done(unsafe {
        env::host_respond(status, list.as_ptr(), list.len(), body.as_ptr(), body.len())
    })
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
    pub fn push(&mut self, item: &[u8]) -> bool {
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

    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or(&[])
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
