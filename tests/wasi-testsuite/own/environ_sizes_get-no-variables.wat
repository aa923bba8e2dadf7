;; A program that is given no variables finds none.
(module
  (import "wasi_snapshot_preview1" "environ_sizes_get" (func $environ_sizes_get (param i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "_start")
    (if (call $environ_sizes_get (i32.const 0) (i32.const 4)) (then (unreachable)))
    (if (i32.load (i32.const 0)) (then (unreachable)))
    (if (i32.load (i32.const 4)) (then (unreachable)))))
