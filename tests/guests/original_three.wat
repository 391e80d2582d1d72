;; A module in the style of the original: copies a header and the method into others.
(module
  (import "env" "host_get_header"
    (func $get (param i32 i32 i32 i32) (result i32)))
  (import "env" "host_set_header"
    (func $set (param i32 i32 i32 i32) (result i32)))
  (import "env" "host_get_method" (func $method (param i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "ACCEPT")
  (data (i32.const 16) "x-copy")
  (data (i32.const 32) "x-method")
  (func (export "on_request") (result i32)
    (local $length i32)
    (local.set $length (call $get
      (i32.const 0) (i32.const 6) (i32.const 256) (i32.const 100)))
    (if (i32.lt_s (local.get $length) (i32.const 0)) (then (return (i32.const -1))))
    (drop (call $set
      (i32.const 16) (i32.const 6) (i32.const 256) (local.get $length)))
    (local.set $length (call $method (i32.const 256) (i32.const 100)))
    (drop (call $set
      (i32.const 32) (i32.const 8) (i32.const 256) (local.get $length)))
    (i32.const 0)))
