//! Answers 403 to requests for listed hosts.
//!
//! `[config]`: `hosts`, a list of globs (`*` any run of characters, `?` one), compared
//! without case. Every name that a request goes by counts: the host it goes to, the host
//! that CONNECT named, the SNI and the Host header; one listed name blocks it.
#![no_std]

use int3rceptor_guest::{
    get_config, get_connect_host, get_host, get_request_header, get_sni, log, respond, Failure,
    Level, List, State, CONTINUE, ERROR, RESPOND,
};

const MAX_LIST: usize = 48 * 1024;
const MAX_NAME: usize = 512;

struct Hosts {
    text: [u8; MAX_LIST],
    length: usize,
}

static HOSTS: State<Hosts> = State::new(Hosts { text: [0; MAX_LIST], length: 0 });

/// Whether `name` matches `glob`. Iterative: the time is bounded by the product of the
/// lengths, whatever the glob.
fn matches(glob: &[u8], name: &[u8]) -> bool {
    let (mut g, mut n) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while let Some(&letter) = name.get(n) {
        match glob.get(g) {
            Some(b'*') => {
                retry = Some((g, n));
                g += 1;
                continue;
            }
            Some(&wanted) if wanted == b'?' || wanted.eq_ignore_ascii_case(&letter) => {
                g += 1;
                n += 1;
                continue;
            }
            _ => {}
        }
        match retry {
            Some((star, taken)) => {
                g = star + 1;
                n = taken + 1;
                retry = Some((star, taken + 1));
            }
            None => return false,
        }
    }
    glob.get(g..).unwrap_or(&[]).iter().all(|&rest| rest == b'*')
}

fn is_listed(list: &[u8], name: &[u8]) -> bool {
    list.split(|&byte| byte == b'\n').any(|glob| !glob.is_empty() && matches(glob, name))
}

/// A Host header without its port, and any name without its trailing dot.
fn bare(name: &[u8]) -> &[u8] {
    let end = match name.iter().rposition(|&byte| byte == b':') {
        Some(at) if name.get(at + 1..).unwrap_or(&[]).iter().all(u8::is_ascii_digit) => at,
        _ => name.len(),
    };
    let name = name.get(..end).unwrap_or(name);
    name.strip_suffix(b".").unwrap_or(name)
}

/// Some(blocked) for a name that could be read or is absent; None for one that could not.
fn judge(list: &[u8], name: Result<&[u8], Failure>) -> Option<bool> {
    match name {
        Ok(name) => Some(is_listed(list, bare(name))),
        Err(Failure::NotFound) => Some(false),
        Err(_) => None,
    }
}

fn answer() -> i32 {
    let mut headers = List::<64>::new();
    headers.push("content-type");
    headers.push("text/plain; charset=utf-8");
    let body = b"This host is on the proxy's block list.\n";
    match respond(403, &headers, body) {
        Ok(()) => RESPOND,
        Err(_) => ERROR,
    }
}

#[no_mangle]
pub extern "C" fn plugin_init() -> i32 {
    HOSTS.with(|hosts| {
        hosts.length = match get_config("hosts", &mut hosts.text) {
            Ok(list) => list.len(),
            Err(Failure::NotFound) => {
                log(Level::Warn, "no hosts are configured: nothing is blocked");
                0
            }
            Err(_) => {
                log(Level::Error, "the list of hosts is larger than 48 KiB");
                return ERROR;
            }
        };
        CONTINUE
    })
}

#[no_mangle]
pub extern "C" fn on_request() -> i32 {
    let mut buffer = [0; MAX_NAME];
    HOSTS.with(|hosts| {
        let list = hosts.text.get(..hosts.length).unwrap_or(&[]);
        let verdicts = [
            judge(list, get_host(&mut buffer)),
            judge(list, get_connect_host(&mut buffer)),
            judge(list, get_sni(&mut buffer)),
            judge(list, get_request_header("host", &mut buffer)),
        ];
        if verdicts.contains(&Some(true)) {
            answer()
        } else if verdicts.contains(&None) {
            ERROR
        } else {
            CONTINUE
        }
    })
}
