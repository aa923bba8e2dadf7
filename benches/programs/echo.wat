;; Sends back what comes over each connection of the listener, descriptor 3, one after the other.
(module
  (import "wasi_snapshot_preview1" "sock_accept" (func $accept (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_close" (func $close (param i32) (result i32)))
  (memory (export "memory") 2)
  ;; Sends `$length` bytes from 65536 on; gives whether it failed.
  (func $send (param $fd i32) (param $length i32) (result i32) (local $sent i32)
    (loop $more
      (if (i32.lt_u (local.get $sent) (local.get $length)) (then
        (i32.store (i32.const 0) (i32.add (i32.const 65536) (local.get $sent)))
        (i32.store (i32.const 4) (i32.sub (local.get $length) (local.get $sent)))
        (if (call $write (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 8))
          (then (return (i32.const 1))))
        (local.set $sent (i32.add (local.get $sent) (i32.load (i32.const 8))))
        (br $more))))
    (i32.const 0))
  ;; Until the peer ends, or has gone.
  (func $echo (param $fd i32)
    (loop $next
      (i32.store (i32.const 0) (i32.const 65536))
      (i32.store (i32.const 4) (i32.const 65536))
      (if (call $read (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 8)) (then (return)))
      (if (i32.eqz (i32.load (i32.const 8))) (then (return)))
      (br_if $next (i32.eqz (call $send (local.get $fd) (i32.load (i32.const 8)))))))
  (func (export "_start")
    (loop $next
      (if (call $accept (i32.const 3) (i32.const 0) (i32.const 16)) (then (unreachable)))
      (call $echo (i32.load (i32.const 16)))
      (drop (call $close (i32.load (i32.const 16))))
      (br $next))))
