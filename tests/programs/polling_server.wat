;; Never waits but in `poll_oneoff`: for the listener, descriptor 3, and for everybody that it has
;; let in, up to 1200 of them. Sends back what comes. Ends when all that came have gone, and
;; somebody had come.
(module
  (import "wasi_snapshot_preview1" "sock_accept" (func $accept (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_close" (func $close (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_fdstat_set_flags" (func $set_flags (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_prestat_get" (func $prestat (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 8)
  (func $must (param $error i32) (if (local.get $error) (then (call $exit (local.get $error)))))
  ;; Sends `$length` bytes from 65536 on; gives whether it failed.
  (func $send_all (param $fd i32) (param $length i32) (result i32) (local $sent i32)
    (loop $more
      (if (i32.lt_u (local.get $sent) (local.get $length)) (then
        (i32.store (i32.const 16) (i32.add (i32.const 65536) (local.get $sent)))
        (i32.store (i32.const 20) (i32.sub (local.get $length) (local.get $sent)))
        (if (call $write (local.get $fd) (i32.const 16) (i32.const 1) (i32.const 24))
          (then (return (i32.const 1))))
        (local.set $sent (i32.add (local.get $sent) (i32.load (i32.const 24))))
        (br $more))))
    (i32.const 0))
  ;; A subscription of 48 bytes at 131072 for each, the listener's first; events behind.
  (func $subscribe (param $place i32) (param $fd i32) (local $at i32)
    (local.set $at (i32.add (i32.const 131072) (i32.mul (local.get $place) (i32.const 48))))
    (i64.store (local.get $at) (i64.extend_i32_u (local.get $fd)))
    (i32.store8 offset=8 (local.get $at) (i32.const 1))
    (i32.store offset=16 (local.get $at) (local.get $fd)))
  (func $fd_at (param $place i32) (result i32)
    (i32.load offset=16 (i32.add (i32.const 131072) (i32.mul (local.get $place) (i32.const 48)))))
  ;; Sends back what is there; gives whether the peer has gone.
  (func $serve (param $fd i32) (result i32)
    (i32.store (i32.const 0) (i32.const 65536))
    (i32.store (i32.const 4) (i32.const 1000))
    (if (call $read (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 8))
      (then (return (i32.const 1))))
    (if (i32.eqz (i32.load (i32.const 8))) (then (return (i32.const 1))))
    (call $send_all (local.get $fd) (i32.load (i32.const 8))))
  (func (export "_start")
    (local $count i32) (local $event i32) (local $events i32) (local $fd i32) (local $place i32) (local $came i32)
    ;; A socket is no directory, and what follows is looked at too.
    (call $must (call $prestat (i32.const 3) (i32.const 40)))
    (if (i32.ne (i32.load8_u (i32.const 40)) (i32.const 255)) (then unreachable))
    (call $must (call $set_flags (i32.const 3) (i32.const 4)))
    (if (i32.ne (call $accept (i32.const 3) (i32.const 4) (i32.const 32)) (i32.const 6)) (then unreachable))
    (call $subscribe (i32.const 0) (i32.const 3))
    (local.set $count (i32.const 1))
    (loop $again
      (call $must (call $poll (i32.const 131072) (i32.const 262144) (local.get $count) (i32.const 36)))
      (local.set $events (i32.load (i32.const 36)))
      (local.set $event (i32.const 262144))
      (loop $each
        (local.set $fd (i32.wrap_i64 (i64.load (local.get $event))))
        (if (i32.eq (local.get $fd) (i32.const 3))
          (then
            (if (i32.eqz (call $accept (i32.const 3) (i32.const 4) (i32.const 32))) (then
              (call $subscribe (local.get $count) (i32.load (i32.const 32)))
              (local.set $came (i32.const 1))
              (local.set $count (i32.add (local.get $count) (i32.const 1))))))
          (else
            (if (call $serve (local.get $fd)) (then
              (call $must (call $close (local.get $fd)))
              ;; The last one takes its place.
              (local.set $place (i32.const 1))
              (loop $find
                (if (i32.ne (call $fd_at (local.get $place)) (local.get $fd)) (then
                  (local.set $place (i32.add (local.get $place) (i32.const 1)))
                  (br $find))))
              (local.set $count (i32.sub (local.get $count) (i32.const 1)))
              (call $subscribe (local.get $place) (call $fd_at (local.get $count)))))))
        (local.set $event (i32.add (local.get $event) (i32.const 32)))
        (local.set $events (i32.sub (local.get $events) (i32.const 1)))
        (br_if $each (local.get $events)))
      (br_if $again (i32.or (i32.gt_u (local.get $count) (i32.const 1)) (i32.eqz (local.get $came)))))))
