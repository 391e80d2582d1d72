//! Renames and removes keys, sets values and replaces text in JSON responses of any size,
//! as they pass.
//!
//! `[config]`: `rename` (a list of `OLD=NEW`), `set` (of `KEY=JSON`), `remove` (of `KEY`),
//! for keys at any depth, and `replace` (of `OLD=NEW`), for text in values. Nothing is
//! collected: what the scanner must remember between two chunks, a string that is not over
//! yet above all, is left on the flow, since chunks of many flows come in between each
//! other.
#![no_std]

use int3rceptor_guest::{
    context_get, context_set, decode_body, get_chunk, get_config, get_header, is_last_chunk, log,
    set_chunk, Failure, Level, State, CONTINUE, ERROR,
};

const CONTEXT: &str = "json-rewriter.state";
const MAX_RULES: usize = 16 * 1024;
/// Of a key with its quotes, the comma before it and the space around it; a longer one is
/// no candidate.
const MAX_KEY: usize = 512;
/// Of the space behind a comma, all that is kept; more means nothing.
const MAX_SPACE: usize = 64;
/// Of a text that is replaced: so much of a long string is kept back.
const MAX_OLD: usize = 256;
/// Of an escape in a string.
const MAX_ESCAPE: usize = 6;
const MAX_CHUNK: usize = 16 * 1024;
/// A chunk may grow by what its keys become; past this the hook fails.
const MAX_OUTPUT: usize = 256 * 1024;
/// Mode, two flags, depth and the pending bytes.
const MAX_STATE: usize = 7 + MAX_KEY;

/// Of all lists together.
const MAX_LINES: usize = 256;

/// The lists, in the order in which they are read.
#[derive(Clone, Copy)]
enum List {
    Rename,
    Set,
    Remove,
    Replace,
}

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
    /// Where the lines of each list end.
    ends: [usize; 4],
    count: usize,
    /// Bytes that a text to be replaced begins with.
    begins: [bool; 256],
}

static RULES: State<Rules> = State::new(Rules {
    text: [0; MAX_RULES],
    lines: [Line { start: 0, equals: 0, end: 0 }; MAX_LINES],
    ends: [0; 4],
    count: 0,
    begins: [false; 256],
});

/// Why the settings cannot be used.
enum Refused {
    TooLarge,
    NoRule,
    NoText,
}

impl Rules {
    fn read(&mut self) -> Result<(), Refused> {
        let mut end = 0;
        let names = ["rename", "set", "remove", "replace"];
        for (index, name) in names.iter().enumerate() {
            end = self.read_list(name, end, *name == "remove")?;
            if let Some(place) = self.ends.get_mut(index) {
                *place = self.count;
            }
        }
        self.prepare()
    }

    /// Both sides of a replacement must be what can stand between quotes.
    fn prepare(&mut self) -> Result<(), Refused> {
        let mut begins = [false; 256];
        for line in self.of(List::Replace) {
            let (old, new) = self.sides(line);
            let is_sound = is_text(old) && is_text(new) && old.len() <= MAX_OLD;
            match old.first().and_then(|&first| begins.get_mut(first as usize)) {
                Some(place) if is_sound => *place = true,
                _ => return Err(Refused::NoText),
            }
        }
        self.begins = begins;
        Ok(())
    }

    fn of(&self, list: List) -> &[Line] {
        let index = list as usize;
        let first = match index {
            0 => 0,
            _ => self.ends.get(index - 1).copied().unwrap_or(0),
        };
        let last = self.ends.get(index).copied().unwrap_or(0);
        self.lines.get(first..last).unwrap_or(&[])
    }

    /// What stands before the `=` of a line, and behind it.
    fn sides(&self, line: &Line) -> (&[u8], &[u8]) {
        let (start, equals, end) = (line.start as usize, line.equals as usize, line.end as usize);
        let old = self.text.get(start..equals).unwrap_or(&[]);
        (old, self.text.get(equals + 1..end).unwrap_or(&[]))
    }

    /// Take in one list, behind what is there already; where its text ends.
    fn read_list(&mut self, name: &str, from: usize, is_plain: bool) -> Result<usize, Refused> {
        let room = self.text.get_mut(from..).unwrap_or(&mut []);
        let length = match get_config(name, room) {
            Ok(list) => list.len(),
            Err(Failure::NotFound) => 0,
            Err(_) => return Err(Refused::TooLarge),
        };
        let mut start = from;
        let list = self.text.get(from..from + length).unwrap_or(&[]);
        for line in list.split(|&byte| byte == b'\n').filter(|_| length > 0) {
            let found = line.iter().position(|&byte| byte == b'=').filter(|_| !is_plain);
            let equals = found.or(if is_plain { Some(line.len()) } else { None });
            let equals = equals.ok_or(Refused::NoRule)?;
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

    /// What stands behind `key=` in one of the lists.
    fn find(&self, list: List, key: &[u8]) -> Option<&[u8]> {
        let sides = self.of(list).iter().map(|line| self.sides(line));
        sides.filter(|(old, _)| *old == key).map(|(_, new)| new).next()
    }

    /// What is to be replaced at the beginning of a text: how long it is, and by what.
    fn replacement(&self, text: &[u8]) -> Option<(usize, &[u8])> {
        let &first = text.first()?;
        if !*self.begins.get(first as usize)? {
            return None;
        }
        let sides = self.of(List::Replace).iter().map(|line| self.sides(line));
        sides.filter(|(old, _)| text.starts_with(old)).map(|(old, new)| (old.len(), new)).next()
    }
}

/// Whether this can stand in a string: no quote and no half of an escape.
fn is_text(text: &[u8]) -> bool {
    let mut is_escaped = false;
    for &byte in text {
        if byte < b' ' || (byte == b'"' && !is_escaped) {
            return false;
        }
        is_escaped = byte == b'\\' && !is_escaped;
    }
    !is_escaped
}

/// How many bytes stand for the first character of a text between quotes.
fn step(text: &[u8]) -> usize {
    match (text.first(), text.get(1)) {
        (Some(b'\\'), Some(b'u')) => MAX_ESCAPE,
        (Some(b'\\'), _) => 2,
        _ => 1,
    }
}

#[derive(Clone, Copy, PartialEq)]
#[repr(u8)]
enum Mode {
    /// Between strings: bytes go on as they are.
    Copy,
    /// Behind a comma, which goes with what it is before.
    Comma,
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
    /// Behind a first member that was removed: the comma goes, too.
    Gone,
}

const MODES: [Mode; 11] = [
    Mode::Copy, Mode::Comma, Mode::Text, Mode::Behind, Mode::Long, Mode::Left, Mode::Scalar,
    Mode::LeftText, Mode::Nested, Mode::NestedText, Mode::Gone,
];

struct Scanner {
    mode: Mode,
    is_escaped: bool,
    /// Whether what is left out is all of the first member of an object.
    is_first_gone: bool,
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
        Scanner {
            mode: Mode::Copy,
            is_escaped: false,
            is_first_gone: false,
            depth: 0,
            pending: [0; MAX_KEY],
            length: 0,
        }
    }

    fn load(state: &[u8]) -> Option<Self> {
        let mut made = Scanner::new();
        made.mode = *MODES.get(*state.first()? as usize)?;
        made.is_escaped = *state.get(1)? != 0;
        made.is_first_gone = *state.get(2)? != 0;
        made.depth = u32::from_le_bytes(state.get(3..7)?.try_into().ok()?);
        let pending = state.get(7..)?;
        made.pending.get_mut(..pending.len())?.copy_from_slice(pending);
        made.length = pending.len();
        Some(made)
    }

    fn save<'b>(&self, room: &'b mut [u8; MAX_STATE]) -> &'b [u8] {
        let (head, rest) = room.split_at_mut(7);
        let [a, b, c, d] = self.depth.to_le_bytes();
        let flags = [self.mode as u8, self.is_escaped as u8, self.is_first_gone as u8];
        head.copy_from_slice(&[flags[0], flags[1], flags[2], a, b, c, d]);
        let pending = self.pending();
        if let Some(place) = rest.get_mut(..pending.len()) {
            place.copy_from_slice(pending);
        }
        room.get(..7 + pending.len()).unwrap_or(&[])
    }

    fn pending(&self) -> &[u8] {
        self.pending.get(..self.length).unwrap_or(&[])
    }

    /// Keep a byte back, if there is room.
    fn hold(&mut self, byte: u8) -> bool {
        match self.pending.get_mut(self.length) {
            Some(place) => {
                *place = byte;
                self.length += 1;
                true
            }
            None => false,
        }
    }

    /// What is pending is no key: it goes on, with what is replaced in its string.
    fn flush(&mut self, rules: &Rules, out: &mut Output) {
        let quote = |byte: &u8| *byte == b'"';
        let pending = self.pending();
        let start = pending.iter().position(quote).map_or(pending.len(), |at| at + 1);
        let end = pending.iter().rposition(quote).filter(|&at| at >= start);
        let end = end.unwrap_or(pending.len());
        out.put(pending.get(..start).unwrap_or(&[]));
        replace(pending.get(start..end).unwrap_or(&[]), 0, rules, out);
        out.put(pending.get(end..).unwrap_or(&[]));
        self.length = 0;
    }

    /// A string is too long to be a key: what stands before it goes on.
    fn begin_long(&mut self, rules: &Rules, out: &mut Output) {
        let start = self.pending().iter().position(|&byte| byte == b'"').map_or(0, |at| at + 1);
        out.put(self.pending().get(..start).unwrap_or(&[]));
        self.pending.copy_within(start..self.length, 0);
        self.length -= start;
        self.mode = Mode::Long;
        self.pass_long(MAX_OLD, rules, out);
    }

    /// What of a long string is settled goes on; so much is kept back.
    fn pass_long(&mut self, kept: usize, rules: &Rules, out: &mut Output) {
        let settled = replace(self.pending(), kept, rules, out);
        self.pending.copy_within(settled..self.length, 0);
        self.length -= settled;
    }

    /// Whether this byte ends the string that the scanner is in.
    fn ends_text(&mut self, byte: u8) -> bool {
        let was_escaped = self.is_escaped;
        self.is_escaped = byte == b'\\' && !was_escaped;
        byte == b'"' && !was_escaped
    }

    fn feed(&mut self, chunk: &[u8], rules: &Rules, out: &mut Output) {
        let has_removals = !rules.of(List::Remove).is_empty();
        let mut rest = chunk;
        while let Some((&byte, behind)) = rest.split_first() {
            // What lies between strings goes on at once: most of a body does.
            let is_held = |one: u8| one == b'"' || (one == b',' && has_removals);
            if self.mode == Mode::Copy && !is_held(byte) {
                let end = rest.iter().position(|&one| is_held(one)).unwrap_or(rest.len());
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
            Mode::Copy | Mode::Comma if byte == b'"' => {
                self.hold(byte);
                self.mode = Mode::Text;
            }
            Mode::Copy if byte == b',' && !rules.of(List::Remove).is_empty() => {
                self.hold(byte);
                self.mode = Mode::Comma;
            }
            Mode::Copy => out.put(&[byte]),
            Mode::Comma if is_space(byte) => {
                let _ = self.length < MAX_SPACE && self.hold(byte);
            }
            Mode::Comma => self.go_on(byte, rules, out),
            Mode::Text if self.length == MAX_KEY => {
                self.begin_long(rules, out);
                self.take(byte, rules, out);
            }
            Mode::Text => {
                self.hold(byte);
                if self.ends_text(byte) {
                    self.mode = Mode::Behind;
                }
            }
            Mode::Behind if is_space(byte) => {
                if !self.hold(byte) {
                    self.go_on(byte, rules, out);
                }
            }
            Mode::Behind if byte == b':' => self.name(rules, out),
            Mode::Behind => self.go_on(byte, rules, out),
            Mode::Long => {
                if self.ends_text(byte) {
                    self.pass_long(0, rules, out);
                    out.put(&[byte]);
                    self.mode = Mode::Copy;
                } else {
                    self.hold(byte);
                    if self.length == MAX_KEY {
                        self.pass_long(MAX_OLD, rules, out);
                    }
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
                self.end_left();
                self.take(byte, rules, out);
            }
            Mode::Scalar => {}
            Mode::LeftText => {
                if self.ends_text(byte) {
                    self.end_left();
                }
            }
            Mode::Nested => self.nest(byte),
            Mode::NestedText => {
                if self.ends_text(byte) {
                    self.mode = Mode::Nested;
                }
            }
            Mode::Gone if is_space(byte) => {}
            Mode::Gone if byte == b',' => self.mode = Mode::Copy,
            Mode::Gone => self.go_on(byte, rules, out),
        }
    }

    /// Nothing is pending any more, and this byte comes after it.
    fn go_on(&mut self, byte: u8, rules: &Rules, out: &mut Output) {
        self.flush(rules, out);
        self.mode = Mode::Copy;
        self.take(byte, rules, out);
    }

    /// A value that is left out is over.
    fn end_left(&mut self) {
        self.mode = if self.is_first_gone { Mode::Gone } else { Mode::Copy };
        self.is_first_gone = false;
    }

    fn nest(&mut self, byte: u8) {
        match byte {
            b'"' => self.mode = Mode::NestedText,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => {
                self.depth -= 1;
                if self.depth == 0 {
                    self.end_left();
                }
            }
            _ => {}
        }
    }

    /// The body is over: what was kept back goes on.
    fn end(&mut self, rules: &Rules, out: &mut Output) {
        match self.mode {
            Mode::Long => self.pass_long(0, rules, out),
            _ => self.flush(rules, out),
        }
    }

    /// What is pending turned out to be a key.
    fn name(&mut self, rules: &Rules, out: &mut Output) {
        let quote = |byte: &u8| *byte == b'"';
        let start = self.pending().iter().position(quote).map_or(0, |at| at + 1);
        let end = self.pending().iter().rposition(quote).unwrap_or(0);
        let key = self.pending().get(start..end).unwrap_or(&[]);
        if rules.find(List::Remove, key).is_some() {
            self.is_first_gone = self.pending().first() != Some(&b',');
            self.length = 0;
            self.mode = Mode::Left;
            return;
        }
        let value = rules.find(List::Set, key);
        match rules.find(List::Rename, key) {
            Some(new) => {
                out.put(self.pending().get(..start).unwrap_or(&[]));
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

/// Text between quotes goes on, with what is replaced in it, up to the last so many bytes;
/// how much of it did.
fn replace(text: &[u8], kept: usize, rules: &Rules, out: &mut Output) -> usize {
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| rest.len() > kept) {
        let (length, new) = match rules.replacement(rest) {
            Some(found) => found,
            None => {
                let length = step(rest).min(rest.len());
                (length, rest.get(..length).unwrap_or(&[]))
            }
        };
        out.put(new);
        at += length;
    }
    at
}

static INPUT: State<[u8; MAX_CHUNK]> = State::new([0; MAX_CHUNK]);
static OUTPUT: State<Output> =
    State::new(Output { bytes: [0; MAX_OUTPUT], length: 0, is_full: false });

#[no_mangle]
pub extern "C" fn plugin_init() -> i32 {
    match RULES.with(Rules::read) {
        Ok(()) => CONTINUE,
        Err(Refused::TooLarge) => {
            log(Level::Error, "the lists are more than 256 lines, or 16 KiB, together");
            ERROR
        }
        Err(Refused::NoRule) => {
            log(Level::Error, "rename and replace are lists of OLD=NEW, and set one of KEY=JSON");
            ERROR
        }
        Err(Refused::NoText) => {
            log(Level::Error, "what replace names stands between quotes: 1 to 256 bytes, \\\" for a quote");
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
            RULES.with(|rules| scanner.end(rules, out));
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
