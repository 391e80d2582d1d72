;; Its start function never ends.
(module
  (func $start (loop (br 0)))
  (start $start)
  (func (export "on_request") (result i32) (i32.const 0)))
