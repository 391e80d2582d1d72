;; Fills 16 MiB again and again: few instructions, much work.
(module
  (memory (export "memory") 256)
  (func (export "on_request") (result i32)
    (loop $again
      (memory.fill (i32.const 0) (i32.const 1) (i32.const 0x1000000))
      (br $again))
    (i32.const 0)))
