;; Publishes "hello" on the topic "news" at each request.
(module
  (import "env" "host_publish" (func $publish (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "news")
  (data (i32.const 16) "hello")
  (func (export "on_request") (result i32)
    (drop (call $publish (i32.const 0) (i32.const 4) (i32.const 16) (i32.const 5)))
    (i32.const 0)))
