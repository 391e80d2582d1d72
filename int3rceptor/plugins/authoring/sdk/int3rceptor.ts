// INT3RCEPTOR's host functions for AssemblyScript.
// Written by int3rceptor.plugins.authoring.bindings.
//
//   export function on_request(): i32 {
//     return setHeader("x-seen", "yes") == Status.OK ? CONTINUE : ERROR;
//   }
//
// What is handed in may be a string (sent as UTF-8) or an ArrayBuffer. What is read comes
// as an ArrayBuffer, or null with the reason in `status`; `text` makes a string of it.

@codes@

/** What the last function answered that reads, or says yes or no. */
export let status: i32 = Status.OK;

export namespace raw {
@imports@
}

let room = new ArrayBuffer(256);

/** What was read, or null; 0 when the buffer was too small and has grown. */
function taken(answer: i32): ArrayBuffer | null {
  status = answer;
  return answer < 0 ? null : room.slice(0, answer);
}

function grown(answer: i32): bool {
  if (answer <= room.byteLength) return false;
  room = new ArrayBuffer(answer);
  return true;
}

function bytes<T>(value: T): ArrayBuffer {
  if (isString<T>()) return String.UTF8.encode(changetype<string>(value));
  return changetype<ArrayBuffer>(value);
}

function address(value: ArrayBuffer): usize {
  return changetype<usize>(value);
}

/** A string of what was read; "" for null. */
export function text(value: ArrayBuffer | null): string {
  return value === null ? "" : String.UTF8.decode(value);
}

@wrappers@

/** A list in the ABI's form: headers are name, value, name, value. */
export function list(items: string[]): ArrayBuffer {
  let size = 0;
  for (let at = 0; at < items.length; at++) size += 4 + String.UTF8.byteLength(items[at]);
  const made = new ArrayBuffer(size);
  let place = address(made);
  for (let at = 0; at < items.length; at++) {
    const item = String.UTF8.encode(items[at]);
    store<u32>(place, item.byteLength);
    memory.copy(place + 4, address(item), item.byteLength);
    place += 4 + item.byteLength;
  }
  return made;
}

/** The items of a list that a host function gave. */
export function items(list: ArrayBuffer | null): ArrayBuffer[] {
  const found: ArrayBuffer[] = [];
  if (list === null) return found;
  let at = 0;
  while (at + 4 <= list.byteLength) {
    const end = at + 4 + <i32>load<u32>(address(list) + at);
    if (end < at + 4 || end > list.byteLength) break;
    found.push(list.slice(at + 4, end));
    at = end;
  }
  return found;
}

/** What a failed assertion calls: one line in the log, then a trap. Give the compiler
 *  `--use abort=PATH/int3rceptor/trap`. */
export function trap(message: string | null, file: string | null, line: u32, column: u32): void {
  const said = String.UTF8.encode(`${message ? message : "abort"} (${file ? file : ""}:${line})`);
  raw.host_abort(address(said), said.byteLength);
  unreachable();
}
