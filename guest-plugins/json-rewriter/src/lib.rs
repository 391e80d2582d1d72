//! Renames keys and sets values in JSON responses of any size, as they pass.
//!
//! `[config]`: `rename` (a list of `OLD=NEW`) and `set` (a list of `KEY=JSON`), for keys at
//! any depth. Nothing is collected: what the scanner must remember between two chunks, a
//! key that is not over yet above all, is left on the flow, since chunks of many flows
//! come in between each other.
#![no_std]

use int3rceptor_guest::{
    context_get, context_set, decode_body, get_chunk, get_config, get_header, is_last_chunk, log,
    set_chunk, Failure, Level, State, CONTINUE, ERROR,
};

const CONTEXT: &str = "json-rewriter.state";
const MAX_RULES: usize = 16 * 1024;
/// Of a key with its quotes and the space behind it; a longer one is no candidate.
const MAX_KEY: usize = 512;
const MAX_CHUNK: usize = 16 * 1024;
/// A chunk may grow by what its keys become; past this the hook fails.
const MAX_OUTPUT: usize = 256 * 1024;
/// Mode, flag, depth and the pending bytes.
const MAX_STATE: usize = 6 + MAX_KEY;

/// Of both lists together.
const MAX_LINES: usize = 256;

/// One line, `KEY=NEW`, by its places in the text.
#[derive(Clone, Copy)]
struct Line {
    start: u16,
    equals: u16,
    end: u16,
}

struct Rules {
    text: [u8; MAX_RULES],
    lines: [Line; MAX_LINES],
    /// The lines of `rename` come first.
    renames: usize,
    count: usize,
}

static RULES: State<Rules> = State::new(Rules {
    text: [0; MAX_RULES],
    lines: [Line { start: 0, equals: 0, end: 0 }; MAX_LINES],
    renames: 0,
    count: 0,
});

/// Why the settings cannot be used.
enum Refused {
    TooLarge,
    NoRule,
}

impl Rules {
    fn read(&mut self) -> Result<(), Refused> {
        let end = self.read_list("rename", 0)?;
        self.renames = self.count;
        self.read_list("set", end)?;
        Ok(())
    }

    /// Take in one list, behind what is there already; where its text ends.
    fn read_list(&mut self, name: &str, from: usize) -> Result<usize, Refused> {
        let room = self.text.get_mut(from..).unwrap_or(&mut []);
        let length = match get_config(name, room) {
            Ok(list) => list.len(),
            Err(Failure::NotFound) => 0,
            Err(_) => return Err(Refused::TooLarge),
        };
        let mut start = from;
        let list = self.text.get(from..from + length).unwrap_or(&[]);
        for line in list.split(|&byte| byte == b'\n').filter(|_| length > 0) {
            let equals = line.iter().position(|&byte| byte == b'=').ok_or(Refused::NoRule)?;
            let place = self.lines.get_mut(self.count).ok_or(Refused::TooLarge)?;
            *place = Line {
                start: start as u16,
                equals: (start + equals) as u16,
                end: (start + line.len()) as u16,
            };
            self.count += 1;
            start += line.len() + 1;
        }
        Ok(from + length)
    }

    /// What stands behind `key=` in one of the two lists.
    fn find(&self, is_set: bool, key: &[u8]) -> Option<&[u8]> {
        let (first, last) = if is_set { (self.renames, self.count) } else { (0, self.renames) };
        for line in self.lines.get(first..last)? {
            let (start, equals) = (line.start as usize, line.equals as usize);
            if equals - start == key.len() && self.text.get(start..equals)? == key {
                return self.text.get(equals + 1..line.end as usize);
            }
        }
        None
    }
}

#[derive(Clone, Copy, PartialEq)]
#[repr(u8)]
enum Mode {
    /// Between strings: bytes go on as they are.
    Copy,
    /// In a string that may be a key; it is pending.
    Text,
    /// Behind one: a colon makes it a key.
    Behind,
    /// In a string that is too long to be a key.
    Long,
    /// Before a value that is left out, in one, in a string of one.
    Left,
    Scalar,
    LeftText,
    Nested,
    NestedText,
}

const MODES: [Mode; 9] = [
    Mode::Copy, Mode::Text, Mode::Behind, Mode::Long, Mode::Left, Mode::Scalar, Mode::LeftText,
    Mode::Nested, Mode::NestedText,
];

struct Scanner {
    mode: Mode,
    is_escaped: bool,
    depth: u32,
    pending: [u8; MAX_KEY],
    length: usize,
}

struct Output {
    bytes: [u8; MAX_OUTPUT],
    length: usize,
    is_full: bool,
}

impl Output {
    fn put(&mut self, bytes: &[u8]) {
        match self.bytes.get_mut(self.length..self.length + bytes.len()) {
            Some(room) => {
                room.copy_from_slice(bytes);
                self.length += bytes.len();
            }
            None => self.is_full = true,
        }
    }
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

impl Scanner {
    const fn new() -> Self {
        Scanner { mode: Mode::Copy, is_escaped: false, depth: 0, pending: [0; MAX_KEY], length: 0 }
    }

    fn load(state: &[u8]) -> Option<Self> {
        let mut made = Scanner::new();
        made.mode = *MODES.get(*state.first()? as usize)?;
        made.is_escaped = *state.get(1)? != 0;
        made.depth = u32::from_le_bytes(state.get(2..6)?.try_into().ok()?);
        let pending = state.get(6..)?;
        made.pending.get_mut(..pending.len())?.copy_from_slice(pending);
        made.length = pending.len();
        Some(made)
    }

    fn save<'b>(&self, room: &'b mut [u8; MAX_STATE]) -> &'b [u8] {
        let (head, rest) = room.split_at_mut(6);
        let depth = self.depth.to_le_bytes();
        head.copy_from_slice(&[self.mode as u8, self.is_escaped as u8, depth[0], depth[1], depth[2], depth[3]]);
        let pending = self.pending();
        if let Some(place) = rest.get_mut(..pending.len()) {
            place.copy_from_slice(pending);
        }
        room.get(..6 + pending.len()).unwrap_or(&[])
    }

    fn pending(&self) -> &[u8] {
        self.pending.get(..self.length).unwrap_or(&[])
    }

    /// Keep a byte back; when there is no room, all goes on and it was no key.
    fn hold(&mut self, byte: u8, out: &mut Output) -> bool {
        if let Some(place) = self.pending.get_mut(self.length) {
            *place = byte;
            self.length += 1;
            return true;
        }
        self.flush(out);
        out.put(&[byte]);
        false
    }

    fn flush(&mut self, out: &mut Output) {
        out.put(self.pending());
        self.length = 0;
    }

    /// Whether this byte ends the string that the scanner is in.
    fn ends_text(&mut self, byte: u8) -> bool {
        let was_escaped = self.is_escaped;
        self.is_escaped = byte == b'\\' && !was_escaped;
        byte == b'"' && !was_escaped
    }

    fn feed(&mut self, chunk: &[u8], rules: &Rules, out: &mut Output) {
        let mut rest = chunk;
        while let Some((&byte, behind)) = rest.split_first() {
            // What lies between strings goes on at once: most of a body does.
            if self.mode == Mode::Copy && byte != b'"' {
                let end = rest.iter().position(|&one| one == b'"').unwrap_or(rest.len());
                out.put(rest.get(..end).unwrap_or(rest));
                rest = rest.get(end..).unwrap_or(&[]);
                continue;
            }
            self.take(byte, rules, out);
            rest = behind;
        }
    }

    fn take(&mut self, byte: u8, rules: &Rules, out: &mut Output) {
        match self.mode {
            Mode::Copy if byte == b'"' => {
                self.hold(byte, out);
                self.mode = Mode::Text;
            }
            Mode::Copy => out.put(&[byte]),
            Mode::Text => {
                let is_over = self.ends_text(byte);
                let is_held = self.hold(byte, out);
                self.mode = match (is_over, is_held) {
                    (true, true) => Mode::Behind,
                    (true, false) => Mode::Copy,
                    (false, true) => Mode::Text,
                    (false, false) => Mode::Long,
                };
            }
            Mode::Behind if is_space(byte) => {
                if !self.hold(byte, out) {
                    self.mode = Mode::Copy;
                }
            }
            Mode::Behind if byte == b':' => self.name(rules, out),
            Mode::Behind => {
                self.flush(out);
                self.mode = Mode::Copy;
                self.take(byte, rules, out);
            }
            Mode::Long => {
                out.put(&[byte]);
                if self.ends_text(byte) {
                    self.mode = Mode::Copy;
                }
            }
            Mode::Left if is_space(byte) => {}
            Mode::Left => {
                self.depth = 1;
                self.mode = match byte {
                    b'"' => Mode::LeftText,
                    b'{' | b'[' => Mode::Nested,
                    _ => Mode::Scalar,
                };
            }
            Mode::Scalar if is_space(byte) || matches!(byte, b',' | b'}' | b']') => {
                self.mode = Mode::Copy;
                out.put(&[byte]);
            }
            Mode::Scalar => {}
            Mode::LeftText => {
                if self.ends_text(byte) {
                    self.mode = Mode::Copy;
                }
            }
            Mode::Nested => self.nest(byte),
            Mode::NestedText => {
                if self.ends_text(byte) {
                    self.mode = Mode::Nested;
                }
            }
        }
    }

    fn nest(&mut self, byte: u8) {
        match byte {
            b'"' => self.mode = Mode::NestedText,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => {
                self.depth -= 1;
                if self.depth == 0 {
                    self.mode = Mode::Copy;
                }
            }
            _ => {}
        }
    }

    /// What is pending turned out to be a key.
    fn name(&mut self, rules: &Rules, out: &mut Output) {
        let end = self.pending().iter().rposition(|&byte| byte == b'"').unwrap_or(0);
        let key = self.pending().get(1..end).unwrap_or(&[]);
        let value = rules.find(true, key);
        match rules.find(false, key) {
            Some(new) => {
                out.put(b"\"");
                out.put(new);
                out.put(b"\"");
            }
            None => out.put(self.pending()),
        }
        out.put(b":");
        self.length = 0;
        self.mode = Mode::Copy;
        if let Some(value) = value {
            out.put(value);
            self.mode = Mode::Left;
        }
    }
}

static INPUT: State<[u8; MAX_CHUNK]> = State::new([0; MAX_CHUNK]);
static OUTPUT: State<Output> =
    State::new(Output { bytes: [0; MAX_OUTPUT], length: 0, is_full: false });

#[no_mangle]
pub extern "C" fn plugin_init() -> i32 {
    match RULES.with(Rules::read) {
        Ok(()) => CONTINUE,
        Err(Refused::TooLarge) => {
            log(Level::Error, "rename and set are more than 256 lines, or 16 KiB, together");
            ERROR
        }
        Err(Refused::NoRule) => {
            log(Level::Error, "rename is a list of OLD=NEW, and set one of KEY=JSON");
            ERROR
        }
    }
}

fn is_json() -> bool {
    let mut room = [0; 128];
    let kind = get_header("content-type", &mut room).unwrap_or(&[]);
    kind.windows(4).any(|part| part.eq_ignore_ascii_case(b"json"))
}

/// Begins with a response that is JSON; its content codings come off.
#[no_mangle]
pub extern "C" fn on_response() -> i32 {
    if !is_json() {
        return CONTINUE;
    }
    if decode_body().is_err() {
        log(Level::Warn, "a response cannot be decoded: it passes as it is");
        return CONTINUE;
    }
    let mut room = [0; MAX_STATE];
    match context_set(CONTEXT, Scanner::new().save(&mut room)) {
        Ok(()) => CONTINUE,
        Err(_) => ERROR,
    }
}

fn rewrite() -> Result<(), Failure> {
    let mut room = [0; MAX_STATE];
    let state = match context_get(CONTEXT, &mut room) {
        Err(Failure::NotFound) => return Ok(()), // no JSON: it passes as it is
        other => other?,
    };
    let mut scanner = Scanner::load(state).ok_or(Failure::BadArgument)?;
    OUTPUT.with(|out| {
        out.length = 0;
        out.is_full = false;
        INPUT.with(|chunk| {
            let chunk = get_chunk(chunk)?;
            RULES.with(|rules| scanner.feed(chunk, rules, out));
            Ok(())
        })?;
        if is_last_chunk()? {
            scanner.flush(out);
        }
        if out.is_full {
            return Err(Failure::TooLarge);
        }
        set_chunk(out.bytes.get(..out.length).unwrap_or(&[]))
    })?;
    context_set(CONTEXT, scanner.save(&mut room))
}

#[no_mangle]
pub extern "C" fn on_response_chunk() -> i32 {
    match rewrite() {
        Ok(()) => CONTINUE,
        Err(_) => {
            log(Level::Error, "a chunk cannot be rewritten");
            ERROR
        }
    }
}
