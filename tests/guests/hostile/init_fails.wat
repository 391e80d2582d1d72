;; Says at load that it cannot work.
(module
  (func (export "plugin_init") (result i32) (i32.const -1))
  (func (export "on_request") (result i32) (i32.const 0)))
