;; Asks for 4 GiB from the start.
(module
  (memory (export "memory") 65536)
  (func (export "on_request") (result i32) (i32.const 0)))
