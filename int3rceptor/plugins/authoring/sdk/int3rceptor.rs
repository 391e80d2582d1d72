//! Safe, allocation-free access to INT3RCEPTOR's host functions.
//! Written by int3rceptor.plugins.authoring.bindings.
//!
//! Every out-parameter is a slice that the caller brings; what the host wrote comes back
//! as the filled part of it. Nothing here can panic or allocate, so a plugin that uses it
//! stays around a kilobyte. The contract behind it is `docs/plugin-abi.md`.

use core::cell::UnsafeCell;

@codes@

/// Why a host function did not do it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The buffer is too small; the length that is needed.
    TooSmall(usize),
@failures@
    /// A status code that this file does not know.
    Status(i32),
}

impl Failure {
    const fn of(status: i32) -> Self {
        match status {
@statuses@
            other => Failure::Status(other),
        }
    }
}

/// The host functions as they are imported.
pub mod raw {
    #[link(wasm_import_module = "env")]
    extern "C" {
@imports@
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

@wrappers@

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
