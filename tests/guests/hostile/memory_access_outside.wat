;; Loads from an address that its memory does not have.
(module
  (memory (export "memory") 1)
  (func (export "on_request") (result i32) (i32.load (i32.const 0x7ffffff0))))
