;; Changes a header, then traps.
(module
  (import "env" "host_set_header"
    (func $set (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "x-halfdone")
  (func $run (result i32)
    (drop (call $set
      (i32.const 0) (i32.const 6) (i32.const 6) (i32.const 4)))
    unreachable)
  (export "on_request" (func $run))
  (export "on_response" (func $run)))
