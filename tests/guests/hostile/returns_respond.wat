;; Says RESPOND but prepared no answer.
(module (func (export "on_request") (result i32) (i32.const 1)))
