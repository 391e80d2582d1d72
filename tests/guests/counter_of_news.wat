;; Subscribes to "news", counts what it hears under the key "heard", logs each message,
;; and passes it on under "more".
(module
  (import "env" "host_subscribe" (func $subscribe (param i32 i32) (result i32)))
  (import "env" "host_get_message" (func $message (param i32 i32) (result i32)))
  (import "env" "host_publish" (func $publish (param i32 i32 i32 i32) (result i32)))
  (import "env" "host_kv_add" (func $add (param i32 i32 i32) (result i64)))
  (import "env" "host_log" (func $log (param i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "news")
  (data (i32.const 8) "heard")
  (data (i32.const 16) "more")
  (func (export "plugin_init") (result i32)
    (call $subscribe (i32.const 0) (i32.const 4)))
  (func (export "on_message") (result i32)
    (local $length i32)
    (local.set $length (call $message (i32.const 64) (i32.const 64)))
    (drop (call $log (i32.const 1) (i32.const 64) (local.get $length)))
    (drop (call $add (i32.const 8) (i32.const 5) (i32.const 1)))
    (drop (call $publish
      (i32.const 16) (i32.const 4) (i32.const 64) (local.get $length)))
    (i32.const 0)))
