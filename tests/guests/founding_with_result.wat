;; The founding three, declared with an i32 result each.
(module
  (import "env" "host_log" (func $log (param i32 i32 i32) (result i32)))
  (import "env" "host_get_memory_size" (func $size (result i32)))
  (import "env" "host_abort" (func $abort (param i32 i32) (result i32)))
  (memory (export "memory") 2)
  (data (i32.const 0) "hello")
  (func (export "on_request") (result i32)
    (i32.add
      (i32.add
        (call $log (i32.const 2) (i32.const 0) (i32.const 5))
        (call $abort (i32.const 0) (i32.const 5)))
      (i32.sub (call $size) (i32.const 2)))))
