//! Takes secrets out of what is kept: headers, query parameters, JSON keys, form fields.
//!
//! `[config]`: `headers`, `keys` (of JSON objects and forms), `parameters` (of the query),
//! lists that are compared without case, and `mark`, what stands in a secret's place. What
//! cannot be looked through (encoded, larger than MAX_BODY, broken) is not kept at all.
//! The traffic itself is never changed: all happens in on_capture.
#![no_std]

use int3rceptor_guest::{
    get_body, get_config, get_header, get_path, get_request_body, get_request_header, log,
    set_body, set_header, set_path, set_request_body, set_request_header, Failure, Level, State,
    CONTINUE, ERROR,
};

const MAX_NAMES: usize = 8 * 1024;
const MAX_MARK: usize = 64;
/// Of a body that is looked through.
const MAX_BODY: usize = 256 * 1024;

type Found = Result<(), Failure>;

/// A list of names, one to a line.
struct Names {
    text: [u8; MAX_NAMES],
    length: usize,
}

impl Names {
    const fn new() -> Self {
        Names { text: [0; MAX_NAMES], length: 0 }
    }

    fn read(&mut self, key: &str, fallback: &[u8]) -> Found {
        self.length = match get_config(key, &mut self.text) {
            Ok(names) => names.len(),
            Err(Failure::NotFound) => {
                if let Some(place) = self.text.get_mut(..fallback.len()) {
                    place.copy_from_slice(fallback);
                }
                fallback.len()
            }
            Err(failure) => return Err(failure),
        };
        Ok(())
    }

    fn each(&self) -> impl Iterator<Item = &[u8]> {
        let names = self.text.get(..self.length).unwrap_or(&[]);
        names.split(|&byte| byte == b'\n').filter(|name| !name.is_empty())
    }

    fn has(&self, name: &[u8]) -> bool {
        self.each().any(|one| one.eq_ignore_ascii_case(name))
    }
}

struct Settings {
    headers: Names,
    keys: Names,
    parameters: Names,
    mark: [u8; MAX_MARK],
    mark_length: usize,
}

impl Settings {
    fn mark(&self) -> &[u8] {
        self.mark.get(..self.mark_length).unwrap_or(&[])
    }
}

static SETTINGS: State<Settings> = State::new(Settings {
    headers: Names::new(),
    keys: Names::new(),
    parameters: Names::new(),
    mark: [0; MAX_MARK],
    mark_length: 0,
});

static INPUT: State<[u8; MAX_BODY]> = State::new([0; MAX_BODY]);
static OUTPUT: State<Output> = State::new(Output { bytes: [0; 2 * MAX_BODY], length: 0, is_full: false });

/// What comes out. A mark is longer than some of the values that it stands for.
struct Output {
    bytes: [u8; 2 * MAX_BODY],
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

    fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or(&[])
    }
}

/// `a=b&c=d` with the values of these names marked.
fn form(text: &[u8], names: &Names, mark: &[u8], out: &mut Output) {
    for (at, pair) in text.split(|&byte| byte == b'&').enumerate() {
        if at > 0 {
            out.put(b"&");
        }
        match pair.iter().position(|&byte| byte == b'=') {
            Some(equals) if names.has(pair.get(..equals).unwrap_or(&[])) => {
                out.put(pair.get(..=equals).unwrap_or(&[]));
                out.put(mark);
            }
            _ => out.put(pair),
        }
    }
}

/// Where the string that begins at `start` ends, its quotes included.
fn text_end(text: &[u8], start: usize) -> Option<usize> {
    let mut at = start + 1;
    loop {
        match *text.get(at)? {
            b'\\' => at += 2,
            b'"' => return Some(at + 1),
            _ => at += 1,
        }
    }
}

fn past_space(text: &[u8], mut at: usize) -> usize {
    while matches!(text.get(at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
        at += 1;
    }
    at
}

/// Where the value that begins at `start` ends.
fn value_end(text: &[u8], start: usize) -> Option<usize> {
    let (mut at, mut depth) = (start, 0u32);
    loop {
        match text.get(at) {
            Some(b'"') => at = text_end(text, at)?,
            Some(b'{' | b'[') => {
                depth += 1;
                at += 1;
            }
            Some(b'}' | b']') if depth > 0 => {
                depth -= 1;
                at += 1;
            }
            Some(b',' | b'}' | b']') if depth == 0 => return Some(at),
            Some(_) => at += 1,
            None => return if depth == 0 { Some(at) } else { None },
        }
        let is_whole = matches!(text.get(at.wrapping_sub(1)), Some(b'"' | b'}' | b']'));
        if depth == 0 && is_whole {
            return Some(at);
        }
    }
}

/// JSON with the values of these keys marked, at any depth; None when it is broken.
fn json(text: &[u8], keys: &Names, mark: &[u8], out: &mut Output) -> Option<()> {
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        if byte != b'"' {
            out.put(&[byte]);
            at += 1;
            continue;
        }
        let end = text_end(text, at)?;
        let colon = past_space(text, end);
        let name = text.get(at + 1..end - 1)?;
        let is_secret = text.get(colon) == Some(&b':') && keys.has(name);
        if !is_secret {
            out.put(text.get(at..end)?);
            at = end;
            continue;
        }
        let value = past_space(text, colon + 1);
        out.put(text.get(at..value)?);
        out.put(b"\"");
        out.put(mark);
        out.put(b"\"");
        at = value_end(text, value)?;
    }
    Some(())
}

type Read = for<'b> fn(&mut [u8]) -> Result<usize, Failure>;
type Header = fn(&str, &mut [u8]) -> Result<usize, Failure>;
type Write = fn(&[u8]) -> Found;

/// Looks through one body, and keeps it marked; what cannot be looked through is not kept.
fn body(settings: &Settings, header: Header, read: Read, write: Write) -> Found {
    let (mut kinds, mut codings) = ([0; 128], [0; 16]);
    let kind_length = header("content-type", &mut kinds).unwrap_or(0);
    let kind = kinds.get(..kind_length).unwrap_or(&[]);
    let says = |word: &[u8]| kind.windows(word.len()).any(|part| part.eq_ignore_ascii_case(word));
    let (is_json, is_form) = (says(b"json"), says(b"x-www-form-urlencoded"));
    if !is_json && !is_form {
        return Ok(());
    }
    let is_coded = header("content-encoding", &mut codings) != Err(Failure::NotFound);
    INPUT.with(|input| {
        let length = match read(input) {
            Ok(0) | Err(Failure::NotFound) => return Ok(()),
            Ok(length) if !is_coded => length,
            _ => return write(settings.mark()),
        };
        let text = input.get(..length).unwrap_or(&[]);
        OUTPUT.with(|out| {
            out.length = 0;
            out.is_full = false;
            let is_good = if is_json {
                json(text, &settings.keys, settings.mark(), out).is_some()
            } else {
                form(text, &settings.keys, settings.mark(), out);
                true
            };
            if !is_good || out.is_full {
                return write(settings.mark());
            }
            if out.bytes() == text { Ok(()) } else { write(out.bytes()) }
        })
    })
}

fn query(settings: &Settings) -> Found {
    INPUT.with(|room| {
        let path = match get_path(room) {
            Ok(path) => path,
            Err(_) => return set_path("/***"),
        };
        let start = match path.iter().position(|&byte| byte == b'?') {
            Some(mark) => mark + 1,
            None => return Ok(()),
        };
        OUTPUT.with(|out| {
            out.length = 0;
            out.put(path.get(..start).unwrap_or(&[]));
            let text = path.get(start..).unwrap_or(&[]);
            form(text, &settings.parameters, settings.mark(), out);
            if out.bytes() == path { Ok(()) } else { set_path(out.bytes()) }
        })
    })
}

fn is_there(value: Result<&[u8], Failure>) -> bool {
    matches!(value, Ok(_) | Err(Failure::TooSmall(_)))
}

fn headers(settings: &Settings) -> Found {
    let mut room = [0; 1];
    for name in settings.headers.each() {
        if is_there(get_request_header(name, &mut room)) {
            set_request_header(name, settings.mark())?;
        }
        if is_there(get_header(name, &mut room)) {
            set_header(name, settings.mark())?;
        }
    }
    Ok(())
}

fn redact(settings: &Settings) -> Found {
    headers(settings)?;
    query(settings)?;
    body(
        settings,
        |name, room| get_request_header(name, room).map(<[u8]>::len),
        |room| get_request_body(room).map(<[u8]>::len),
        |bytes| set_request_body(bytes),
    )?;
    body(
        settings,
        |name, room| get_header(name, room).map(<[u8]>::len),
        |room| get_body(room).map(<[u8]>::len),
        |bytes| set_body(bytes),
    )
}

fn read_settings(settings: &mut Settings) -> Found {
    settings.headers.read(
        "headers",
        b"authorization\nproxy-authorization\ncookie\nset-cookie\nx-api-key",
    )?;
    settings.keys.read("keys", b"password\nsecret\ntoken\naccess_token\nrefresh_token")?;
    settings.parameters.read("parameters", b"token\naccess_token\napi_key\nkey\nsig")?;
    settings.mark_length = match get_config("mark", &mut settings.mark) {
        Ok(mark) => mark.len(),
        Err(Failure::NotFound) => {
            settings.mark[..3].copy_from_slice(b"***");
            3
        }
        Err(failure) => return Err(failure),
    };
    Ok(())
}

#[no_mangle]
pub extern "C" fn plugin_init() -> i32 {
    let is_read = SETTINGS.with(read_settings);
    match is_read {
        Ok(()) => CONTINUE,
        Err(_) => {
            log(Level::Error, "a list is larger than 8 KiB, or the mark than 64 bytes");
            ERROR
        }
    }
}

#[no_mangle]
pub extern "C" fn on_capture() -> i32 {
    match SETTINGS.with(|settings| redact(settings)) {
        Ok(()) => CONTINUE,
        Err(_) => {
            log(Level::Error, "a flow cannot be redacted");
            ERROR
        }
    }
}
