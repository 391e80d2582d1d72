;; Sends each request to the URL of its configuration, and ends each answer in a trailer.
(module
  (import "env" "host_get_config" (func $config (param i32 i32 i32 i32) (result i32)))
  (import "env" "host_set_url" (func $set_url (param i32 i32) (result i32)))
  (import "env" "host_set_trailer" (func $trailer (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "url") (data (i32.const 8) "x-checked") (data (i32.const 24) "yes")
  (func (export "on_request") (result i32)
    (call $set_url (i32.const 64)
      (call $config (i32.const 0) (i32.const 3) (i32.const 64) (i32.const 256))))
  (func (export "on_response") (result i32)
    (call $trailer (i32.const 8) (i32.const 9) (i32.const 24) (i32.const 3))))
