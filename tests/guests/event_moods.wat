;; Does what the first byte of an event's data says: x puts "!", LF, "?" in their place,
;; i sets the id to 9, y puts the event's type there, t traps, l loops, d returns DROP,
;; h calls host_drop, e sets all and returns ERROR; all else passes.
(module
  (import "env" "host_get_chunk" (func $get (param i32 i32) (result i32)))
  (import "env" "host_set_chunk" (func $set (param i32 i32) (result i32)))
  (import "env" "host_get_event_field"
    (func $field (param i32 i32 i32 i32) (result i32)))
  (import "env" "host_set_event_field"
    (func $set_field (param i32 i32 i32 i32) (result i32)))
  (import "env" "host_drop" (func $drop (result i32)))
  (memory (export "memory") 8)
  (data (i32.const 0) "!\n?idevent9")
  (func (export "on_sse_event") (result i32)
    (local $first i32)
    (drop (call $get (i32.const 65536) (i32.const 393216)))
    (local.set $first (i32.load8_u (i32.const 65536)))
    (if (i32.eq (local.get $first) (i32.const 120))
      (then (drop (call $set (i32.const 0) (i32.const 3)))))
    (if (i32.eq (local.get $first) (i32.const 105))
      (then (drop (call $set_field (i32.const 3) (i32.const 2)
                                   (i32.const 10) (i32.const 1)))))
    (if (i32.eq (local.get $first) (i32.const 121))
      (then (drop (call $set (i32.const 1024)
        (call $field (i32.const 5) (i32.const 5) (i32.const 1024) (i32.const 64))))))
    (if (i32.eq (local.get $first) (i32.const 116)) (then unreachable))
    (if (i32.eq (local.get $first) (i32.const 108)) (then (loop $on (br $on))))
    (if (i32.eq (local.get $first) (i32.const 100)) (then (return (i32.const 2))))
    (if (i32.eq (local.get $first) (i32.const 104)) (then (drop (call $drop))))
    (if (i32.eq (local.get $first) (i32.const 101))
      (then
        (drop (call $set (i32.const 0) (i32.const 3)))
        (drop (call $set_field (i32.const 3) (i32.const 2)
                               (i32.const 10) (i32.const 1)))
        (return (i32.const -1))))
    (i32.const 0)))
