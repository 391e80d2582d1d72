;; Calls through an empty table entry.
(module
  (table 1 funcref)
  (type $hook (func (result i32)))
  (func (export "on_request") (result i32) (call_indirect (type $hook) (i32.const 0))))
