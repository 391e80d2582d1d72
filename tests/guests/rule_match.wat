;; Logs the name of the rule that matched; answers 418 for one whose name begins with t.
(module
  (import "env" "host_log" (func $log (param i32 i32 i32) (result i32)))
  (import "env" "host_get_rule" (func $rule (param i32 i32) (result i32)))
  (import "env" "host_respond"
    (func $respond (param i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 256) "short and stout")
  (func (export "on_rule_match") (result i32)
    (drop (call $log (i32.const 1) (i32.const 0) (call $rule (i32.const 0) (i32.const 128))))
    (if (i32.ne (i32.load8_u (i32.const 0)) (i32.const 0x74))
      (then (return (i32.const 0))))
    (drop (call $respond
      (i32.const 418) (i32.const 0) (i32.const 0) (i32.const 256) (i32.const 15)))
    (i32.const 1)))
