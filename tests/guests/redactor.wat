;; Takes every trace of a secret out of what is kept, in every place that can hold one.
(module
  (import "env" "host_get_body" (func $get_body (param i32 i32) (result i32)))
  (import "env" "host_set_body" (func $set_body (param i32 i32) (result i32)))
  (import "env" "host_set_request_body" (func $set_request_body (param i32 i32) (result i32)))
  (import "env" "host_set_header" (func $set (param i32 i32 i32 i32) (result i32)))
  (import "env" "host_set_request_header"
    (func $set_request (param i32 i32 i32 i32) (result i32)))
  (import "env" "host_remove_request_header" (func $remove_request (param i32 i32) (result i32)))
  (import "env" "host_set_path" (func $set_path (param i32 i32) (result i32)))
  (import "env" "host_remove_trailer" (func $remove_trailer (param i32 i32) (result i32)))
  (import "env" "host_set_request_trailer"
    (func $set_request_trailer (param i32 i32 i32 i32) (result i32)))
  (import "env" "host_tag" (func $tag (param i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "set-cookie")
  (data (i32.const 16) "authorization")
  (data (i32.const 32) "x-secret")
  (data (i32.const 48) "/redacted?q=***")
  (data (i32.const 64) "redacted")
  (data (i32.const 80) "***")
  ;; A negative status ends the call as a fault, and nothing of it stays.
  (func $sure (param i32) (if (i32.lt_s (local.get 0) (i32.const 0)) (then unreachable)))
  (func (export "on_capture") (result i32)
    (call $sure (call $set_path (i32.const 48) (i32.const 15)))
    (call $sure (call $set_request (i32.const 16) (i32.const 13) (i32.const 80) (i32.const 3)))
    (call $sure (call $remove_request (i32.const 32) (i32.const 8)))
    (call $sure (call $set_request_body (i32.const 64) (i32.const 8)))
    (call $sure (call $set_request_trailer
      (i32.const 32) (i32.const 8) (i32.const 80) (i32.const 3)))
    (call $sure (call $set (i32.const 0) (i32.const 10) (i32.const 80) (i32.const 3)))
    ;; What is kept of the answer's body is seen before it is changed.
    (call $sure (call $get_body (i32.const 1024) (i32.const 60000)))
    (call $sure (call $set_body (i32.const 64) (i32.const 8)))
    (call $sure (call $remove_trailer (i32.const 32) (i32.const 8)))
    (call $sure (call $tag (i32.const 64) (i32.const 8)))
    (i32.const 0)))
