;; Grows its memory until it is refused, then tells how many pages it got.
(module
  (import "env" "host_get_memory_size" (func $pages (result i32)))
  (memory (export "memory") 1)
  (func (export "on_request") (result i32)
    (loop $more
      (br_if $more (i32.ne (memory.grow (i32.const 16)) (i32.const -1))))
    (i32.store (i32.const 128) (call $pages))
    (i32.const 0)))
