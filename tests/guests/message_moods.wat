;; Does what the first byte of a WebSocket's message says: d returns DROP, h calls
;; host_drop, t traps, l loops, e returns ERROR after a change, 0 puts nothing in its
;; place, 8 tries a byte that is no UTF-8, w asks what is not to be asked, f puts what the
;; facts say. All else is sent in upper case.
(module
  (import "env" "host_get_chunk" (func $get (param i32 i32) (result i32)))
  (import "env" "host_set_chunk" (func $set (param i32 i32) (result i32)))
  (import "env" "host_is_last_chunk" (func $is_last (result i32)))
  (import "env" "host_get_fact"
    (func $fact (param i32 i32 i32 i32) (result i32)))
  (import "env" "host_drop" (func $drop (result i32)))
  (memory (export "memory") 16)
  (data (i32.const 0) "message.sendermessage.kind\ff-45")
  (func (export "on_websocket_message") (result i32)
    (local $first i32) (local $at i32) (local $end i32) (local $byte i32)
    (local.set $at (i32.const 65536))
    (local.set $end (i32.add (i32.const 65536)
      (call $get (i32.const 65536) (i32.const 262144))))
    (local.set $first (i32.load8_u (i32.const 65536)))
    (if (i32.eq (local.get $first) (i32.const 100)) (then (return (i32.const 2))))
    (if (i32.eq (local.get $first) (i32.const 104))
      (then (drop (call $drop)) (return (i32.const 0))))
    (if (i32.eq (local.get $first) (i32.const 116)) (then unreachable))
    (if (i32.eq (local.get $first) (i32.const 108)) (then (loop $on (br $on))))
    (if (i32.eq (local.get $first) (i32.const 101))
      (then
        (drop (call $set (i32.const 0) (i32.const 1)))
        (return (i32.const -1))))
    (if (i32.eq (local.get $first) (i32.const 48))
      (then (return (call $set (i32.const 0) (i32.const 0)))))
    (if (i32.eq (local.get $first) (i32.const 56))
      (then
        ;; BAD_ARGUMENT is -3
        (if (i32.ne (call $set (i32.const 26) (i32.const 1)) (i32.const -3))
          (then unreachable))
        (return (i32.const 0))))
    (if (i32.eq (local.get $first) (i32.const 119))
      (then
        ;; WRONG_HOOK is -4
        (if (i32.ne (call $is_last) (i32.const -4)) (then unreachable))
        (return (i32.const 0))))
    (if (i32.eq (local.get $first) (i32.const 102))
      (then
        (local.set $end (i32.add (i32.const 64)
          (call $fact (i32.const 0) (i32.const 14) (i32.const 64) (i32.const 16))))
        (i32.store8 (local.get $end) (i32.const 32))
        (local.set $end (i32.add (i32.const 1) (i32.add (local.get $end)
          (call $fact (i32.const 14) (i32.const 12)
            (i32.add (i32.const 1) (local.get $end)) (i32.const 16)))))
        (return
          (call $set (i32.const 64) (i32.sub (local.get $end) (i32.const 64))))))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
        (local.set $byte (i32.load8_u (local.get $at)))
        (if (i32.lt_u (i32.sub (local.get $byte) (i32.const 97)) (i32.const 26))
          (then (i32.store8 (local.get $at) (i32.sub (local.get $byte) (i32.const 32)))))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br $next)))
    (call $set (i32.const 65536) (i32.sub (local.get $end) (i32.const 65536)))))
