;; Does what the first byte of a chunk says: s swallows it, x puts "!" in its place,
;; t traps, l loops, e returns ERROR, d DROP, r RESPOND, h calls host_drop; all else
;; passes. At the end of a body that has no trailer x-sum it adds "#".
(module
  (import "env" "host_get_chunk" (func $get (param i32 i32) (result i32)))
  (import "env" "host_set_chunk" (func $set (param i32 i32) (result i32)))
  (import "env" "host_is_last_chunk" (func $is_last (result i32)))
  (import "env" "host_get_trailer"
    (func $trailer (param i32 i32 i32 i32) (result i32)))
  (import "env" "host_drop" (func $drop (result i32)))
  (memory (export "memory") 3)
  (data (i32.const 0) "!#x-sum")
  (func (export "on_request_chunk") (export "on_response_chunk") (result i32)
    (local $first i32)
    (if (call $is_last)
      (then
        (if (i32.lt_s (call $trailer (i32.const 2) (i32.const 5)
                        (i32.const 16) (i32.const 64)) (i32.const 0))
          (then (drop (call $set (i32.const 1) (i32.const 1)))))
        (return (i32.const 0))))
    (drop (call $get (i32.const 65536) (i32.const 65536)))
    (local.set $first (i32.load8_u (i32.const 65536)))
    (if (i32.eq (local.get $first) (i32.const 115))
      (then (drop (call $set (i32.const 0) (i32.const 0)))))
    (if (i32.eq (local.get $first) (i32.const 120))
      (then (drop (call $set (i32.const 0) (i32.const 1)))))
    (if (i32.eq (local.get $first) (i32.const 116)) (then unreachable))
    (if (i32.eq (local.get $first) (i32.const 108)) (then (loop $on (br $on))))
    (if (i32.eq (local.get $first) (i32.const 101))
      (then
        (drop (call $set (i32.const 0) (i32.const 1)))
        (return (i32.const -1))))
    (if (i32.eq (local.get $first) (i32.const 100)) (then (return (i32.const 2))))
    (if (i32.eq (local.get $first) (i32.const 114)) (then (return (i32.const 1))))
    (if (i32.eq (local.get $first) (i32.const 104)) (then (drop (call $drop))))
    (i32.const 0)))
