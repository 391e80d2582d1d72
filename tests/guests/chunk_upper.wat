;; Upper-cases the ASCII letters of every body, chunk by chunk.
(module
  (import "env" "host_get_chunk" (func $get (param i32 i32) (result i32)))
  (import "env" "host_set_chunk" (func $set (param i32 i32) (result i32)))
  (memory (export "memory") 2)
  (func $upper (export "on_request_chunk") (export "on_response_chunk") (result i32)
    (local $at i32) (local $end i32) (local $byte i32)
    (local.set $at (i32.const 65536))
    (local.set $end (i32.add (i32.const 65536)
      (call $get (i32.const 65536) (i32.const 65536))))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
        (local.set $byte (i32.load8_u (local.get $at)))
        (if (i32.lt_u (i32.sub (local.get $byte) (i32.const 97)) (i32.const 26))
          (then (i32.store8 (local.get $at) (i32.sub (local.get $byte) (i32.const 32)))))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br $next)))
    (call $set (i32.const 65536) (i32.sub (local.get $end) (i32.const 65536)))))
