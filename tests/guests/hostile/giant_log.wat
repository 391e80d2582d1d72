;; Logs 512 KiB lines: few calls, much work.
(module
  (import "env" "host_log" (func $log (param i32 i32 i32) (result i32)))
  (memory (export "memory") 32)
  (func (export "plugin_init") (result i32)
    (memory.fill (i32.const 0) (i32.const 0x61) (i32.const 0x80000))
    (i32.const 0))
  (func (export "on_request") (result i32)
    (loop $again
      (drop (call $log (i32.const 1) (i32.const 0) (i32.const 0x80000)))
      (br $again))
    (i32.const 0)))
