;; Sets a header on each response, and tags the flow of one that is an error.
(module
  (import "env" "host_get_config"
    (func $config (param $key i32) (param $size i32) (param $to i32) (param $room i32)
      (result i32)))
  (import "env" "host_set_header"
    (func $set (param i32 i32 i32 i32) (result i32)))
  (import "env" "host_get_status" (func $status (result i32)))
  (import "env" "host_tag" (func $tag (param i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "header")
  (data (i32.const 16) "value")
  (data (i32.const 32) "error")
  (func (export "on_response") (result i32)
    (local $name i32) (local $value i32)
    ;; Both settings go behind each other's buffers: 128 bytes at 1024, 1024 at 2048.
    (local.set $name
      (call $config (i32.const 0) (i32.const 6) (i32.const 1024) (i32.const 128)))
    (local.set $value
      (call $config (i32.const 16) (i32.const 5) (i32.const 2048) (i32.const 1024)))
    ;; A length past the buffer, or a status below zero, is an error of the hook.
    (if (i32.or (i32.gt_u (local.get $name) (i32.const 128))
                (i32.gt_u (local.get $value) (i32.const 1024)))
      (then (return (i32.const -1))))
    (if (i32.lt_s (call $set (i32.const 1024) (local.get $name)
                             (i32.const 2048) (local.get $value))
                  (i32.const 0))
      (then (return (i32.const -1))))
    (if (i32.ge_s (call $status) (i32.const 400))
      (then (drop (call $tag (i32.const 32) (i32.const 5)))))
    (i32.const 0)))
