;; Dials the host and the port of its configuration in place of every origin.
(module
  (import "env" "host_get_config" (func $config (param i32 i32 i32 i32) (result i32)))
  (import "env" "host_set_upstream" (func $upstream (param i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "host") (data (i32.const 8) "port")
  (func $number (param $at i32) (param $end i32) (result i32) (local $sum i32)
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
        (local.set $sum (i32.add (i32.mul (local.get $sum) (i32.const 10))
          (i32.sub (i32.load8_u (local.get $at)) (i32.const 48))))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br $next)))
    (local.get $sum))
  (func (export "on_connect") (result i32)
    (call $upstream
      (i32.const 64) (call $config (i32.const 0) (i32.const 4) (i32.const 64) (i32.const 64))
      (call $number (i32.const 128) (i32.add (i32.const 128)
        (call $config (i32.const 8) (i32.const 4) (i32.const 128) (i32.const 16)))))))
