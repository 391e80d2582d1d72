;; Computes a few milliseconds, then goes on.
(module
  (func (export "on_request") (result i32)
    (local $left i32)
    (local.set $left (i32.const 1500000))
    (loop $again
      (local.set $left (i32.sub (local.get $left) (i32.const 1)))
      (br_if $again (local.get $left)))
    (i32.const 0)))
