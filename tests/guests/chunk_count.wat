;; Reads bodies and changes none. Each end is a log line, "end BYTES", of all since the
;; last; a chunk that cannot be read is an error.
(module
  (import "env" "host_get_chunk" (func $get (param i32 i32) (result i32)))
  (import "env" "host_is_last_chunk" (func $is_last (result i32)))
  (import "env" "host_log" (func $log (param i32 i32 i32) (result i32)))
  (memory (export "memory") 2)
  (data (i32.const 0) "end ")
  (global $seen (mut i32) (i32.const 0))
  (func (export "on_request_chunk") (export "on_response_chunk") (result i32)
    (local $got i32)
    (local.set $got (call $get (i32.const 65536) (i32.const 65536)))
    (if (i32.lt_s (local.get $got) (i32.const 0)) (then (return (i32.const -1))))
    (if (i32.gt_s (local.get $got) (i32.const 65536)) (then (return (i32.const -1))))
    (global.set $seen (i32.add (global.get $seen) (local.get $got)))
    (if (call $is_last)
      (then
        (if (local.get $got) (then (return (i32.const -1))))
        (drop (call $log (i32.const 1) (i32.const 0)
          (i32.add (i32.const 4) (call $digits (global.get $seen)))))
        (global.set $seen (i32.const 0))))
    (i32.const 0))
  ;; Writes a number in decimal at 4; the count of its digits.
  (func $digits (param $number i32) (result i32)
    (local $count i32) (local $rest i32)
    (local.set $rest (local.get $number))
    (loop $more
      (local.set $count (i32.add (local.get $count) (i32.const 1)))
      (local.set $rest (i32.div_u (local.get $rest) (i32.const 10)))
      (br_if $more (local.get $rest)))
    (local.set $rest (i32.add (i32.const 4) (local.get $count)))
    (loop $write
      (local.set $rest (i32.sub (local.get $rest) (i32.const 1)))
      (i32.store8 (local.get $rest)
        (i32.add (i32.const 48) (i32.rem_u (local.get $number) (i32.const 10))))
      (local.set $number (i32.div_u (local.get $number) (i32.const 10)))
      (br_if $write (i32.gt_u (local.get $rest) (i32.const 4))))
    (local.get $count)))
