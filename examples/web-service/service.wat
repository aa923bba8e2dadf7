;; Answers HTTP/1.1 requests on descriptor 3, one connection after the other, with how many
;; it has answered. A connection whose client goes away costs nothing but itself.
(module
  (import "wasi_snapshot_preview1" "sock_accept"
    (func $sock_accept (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read"
    (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "sock_shutdown"
    (func $sock_shutdown (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_close"
    (func $fd_close (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))

  (memory (export "memory") 1)

  ;; 0: an iovec; 8: a count; 12: the connection. 1024: the answer, whose number is put at
  ;; its end. 2048: the request, up to 32 KiB.
  (data (i32.const 1024)
    "HTTP/1.1 200 OK\r\n"
    "Content-Type: text/plain\r\n"
    "Content-Length: 41\r\n"
    "Connection: close\r\n"
    "\r\n"
    "Hello from a Keep! This is answer 000000\n")

  (global $size i32 (i32.const 125))

  (func (export "_start")
    (local $answered i32)
    (loop $next
      (if (call $sock_accept (i32.const 3) (i32.const 0) (i32.const 12))
        (then (call $proc_exit (i32.const 1))))
      (if (call $read_request (i32.load (i32.const 12)))
        (then
          (local.set $answered (i32.add (local.get $answered) (i32.const 1)))
          (call $number (local.get $answered))
          (call $answer (i32.load (i32.const 12)))))
      (drop (call $fd_close (i32.load (i32.const 12))))
      (br $next)))

  ;; Reads up to the empty line that ends a request's header; gives whether it came.
  (func $read_request (param $connection i32) (result i32)
    (local $length i32)
    (loop $more
      (i32.store (i32.const 0) (i32.add (i32.const 2048) (local.get $length)))
      (i32.store (i32.const 4) (i32.sub (i32.const 32768) (local.get $length)))
      (if (call $fd_read (local.get $connection) (i32.const 0) (i32.const 1) (i32.const 8))
        (then (return (i32.const 0))))
      (if (i32.eqz (i32.load (i32.const 8)))
        (then (return (i32.const 0))))
      (local.set $length (i32.add (local.get $length) (i32.load (i32.const 8))))
      (if (i32.lt_u (local.get $length) (i32.const 4))
        (then (br $more)))
      ;; "\r\n\r\n", as a little-endian number.
      (br_if $more
        (i32.ne
          (i32.load (i32.add (i32.const 2044) (local.get $length)))
          (i32.const 0x0a0d0a0d))))
    (i32.const 1))

  ;; Writes six digits in front of the answer's last character.
  (func $number (param $number i32)
    (local $place i32)
    (local.set $place (i32.sub (i32.add (i32.const 1024) (global.get $size)) (i32.const 1)))
    (loop $digit
      (local.set $place (i32.sub (local.get $place) (i32.const 1)))
      (i32.store8 (local.get $place)
        (i32.add (i32.const 48) (i32.rem_u (local.get $number) (i32.const 10))))
      (local.set $number (i32.div_u (local.get $number) (i32.const 10)))
      (br_if $digit
        (i32.gt_u (local.get $place)
          (i32.sub (i32.add (i32.const 1024) (global.get $size)) (i32.const 7))))))

  (func $answer (param $connection i32)
    (local $sent i32)
    (loop $more
      (i32.store (i32.const 0) (i32.add (i32.const 1024) (local.get $sent)))
      (i32.store (i32.const 4) (i32.sub (global.get $size) (local.get $sent)))
      (if (call $fd_write (local.get $connection) (i32.const 0) (i32.const 1) (i32.const 8))
        (then (return)))
      (local.set $sent (i32.add (local.get $sent) (i32.load (i32.const 8))))
      (br_if $more (i32.lt_u (local.get $sent) (global.get $size))))
    (drop (call $sock_shutdown (local.get $connection) (i32.const 2)))))
