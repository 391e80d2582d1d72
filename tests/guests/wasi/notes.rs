use std::fs::{read_to_string, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

static COUNT: AtomicU32 = AtomicU32::new(0);

fn in_folder(name: &str) -> PathBuf {
    Path::new(&std::env::var("FOLDER").unwrap()).join(name)
}

#[no_mangle]
pub extern "C" fn plugin_init() -> i32 {
    eprintln!("ready");
    0
}

#[no_mangle]
pub extern "C" fn on_request() -> i32 {
    let count = COUNT.fetch_add(1, Ordering::Relaxed) + 1;
    println!("request {} {}", count, std::env::var("MODE").unwrap());
    println!("read {}", read_to_string(in_folder("in.txt")).unwrap().trim());
    let mut out = OpenOptions::new()
        .append(true)
        .create(true)
        .open(in_folder("out.txt"))
        .unwrap();
    writeln!(out, "line {}", count).unwrap();
    let escaped = read_to_string(in_folder("../secret"));
    println!("escape {}", if escaped.is_ok() { "made" } else { "refused" });
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    println!("clock {}", if now > 1_700_000_000 { "runs" } else { "stands" });
    0
}
