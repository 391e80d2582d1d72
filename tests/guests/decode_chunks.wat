;; Has every message decoded, logs the answer as one letter ("a" is 0, "`" is -1), and
;; looks at the chunks that come of it: those that begin with "!" are an error.
(module
  (import "env" "host_decode_body" (func $decode (result i32)))
  (import "env" "host_get_chunk" (func $get (param i32 i32) (result i32)))
  (import "env" "host_log" (func $log (param i32 i32 i32) (result i32)))
  (memory (export "memory") 2)
  (func (export "on_request") (export "on_response") (result i32)
    (i32.store8 (i32.const 0) (i32.add (i32.const 97) (call $decode)))
    (drop (call $log (i32.const 1) (i32.const 0) (i32.const 1)))
    (i32.const 0))
  (func (export "on_request_chunk") (export "on_response_chunk") (result i32)
    (i32.store8 (i32.const 65536) (i32.const 0))
    (drop (call $get (i32.const 65536) (i32.const 65536)))
    (select (i32.const -1) (i32.const 0)
      (i32.eq (i32.load8_u (i32.const 65536)) (i32.const 33)))))
