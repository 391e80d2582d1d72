;; The founding three, declared without results.
(module
  (import "env" "host_log" (func $log (param i32 i32 i32)))
  (import "env" "host_get_memory_size" (func $size))
  (import "env" "host_abort" (func $abort (param i32 i32)))
  (memory (export "memory") 2)
  (data (i32.const 0) "hello")
  (func (export "on_request") (result i32)
    (call $log (i32.const 2) (i32.const 0) (i32.const 5))
    (call $abort (i32.const 0) (i32.const 5))
    (call $size)
    (i32.const 0)))
