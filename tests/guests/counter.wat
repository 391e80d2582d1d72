;; Answers how often it was called since it was built, as a log line of one digit; then
;; traps at the fourth call.
(module
  (import "env" "host_log" (func $log (param i32 i32 i32)))
  (memory (export "memory") 1)
  (global $calls (mut i32) (i32.const 0))
  (func (export "plugin_init") (result i32)
    (i32.store8 (i32.const 0) (i32.const 0x49))
    (call $log (i32.const 0) (i32.const 0) (i32.const 1))
    (i32.const 0))
  (func (export "on_request") (result i32)
    (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
    (i32.store8 (i32.const 0) (i32.add (global.get $calls) (i32.const 0x30)))
    (call $log (i32.const 1) (i32.const 0) (i32.const 1))
    (if (i32.eq (global.get $calls) (i32.const 4)) (then unreachable))
    (i32.const 0)))
