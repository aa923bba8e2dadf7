;; A first application: greets, shows its arguments and one variable, and copies its
;; standard input when it is asked to. It uses WASI preview 1, like most programs that
;; are compiled to WebAssembly.
(module
  (import "wasi_snapshot_preview1" "args_sizes_get"
    (func $args_sizes_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_get"
    (func $args_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_sizes_get"
    (func $environ_sizes_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_get"
    (func $environ_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read"
    (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit"
    (func $proc_exit (param i32)))

  ;; Memory:
  ;;      0  one buffer description for fd_read and fd_write: address, length
  ;;      8  how much was read or written
  ;;     16  two numbers: how many arguments or variables, how many bytes they have
  ;;   1024  texts of this program
  ;;   4096  standard input on its way
  ;;   8192  arguments, then variables: a list of addresses, and what they point to
  (memory (export "memory") 16)
  (data (i32.const 1024) "Hello from a Keep!\n")
  (data (i32.const 1056) "argument: ")
  (data (i32.const 1072) "greeting: ")
  (data (i32.const 1088) "\n")
  (data (i32.const 1096) "GREETING=\00")

  (func $main (export "_start")
    (call $print (i32.const 1024) (i32.const 19))
    (call $print_arguments)
    (call $print_greeting))

  ;; Prints every argument after the program's own name. The argument `-` stands for
  ;; standard input, which is copied in its place.
  (func $print_arguments
    (local $count i32) (local $index i32) (local $argument i32)
    (call $check (call $args_sizes_get (i32.const 16) (i32.const 20)))
    (call $reserve)
    (local.set $count (i32.load (i32.const 16)))
    (call $check (call $args_get (i32.const 8192) (call $behind_list (local.get $count))))
    (local.set $index (i32.const 1))
    (block $end
      (loop $next
        (br_if $end (i32.ge_u (local.get $index) (local.get $count)))
        (local.set $argument (call $list_item (local.get $index)))
        ;; "-" and its end are the two bytes 0x2d 0x00.
        (if (i32.eq (i32.load16_u (local.get $argument)) (i32.const 0x002d))
          (then (call $copy_input))
          (else
            (call $print (i32.const 1056) (i32.const 10))
            (call $print_line (local.get $argument))))
        (local.set $index (i32.add (local.get $index) (i32.const 1)))
        (br $next))))

  ;; Prints the value of the variable GREETING, if it is set.
  (func $print_greeting
    (local $count i32) (local $index i32) (local $variable i32)
    (call $check (call $environ_sizes_get (i32.const 16) (i32.const 20)))
    (call $reserve)
    (local.set $count (i32.load (i32.const 16)))
    (call $check (call $environ_get (i32.const 8192) (call $behind_list (local.get $count))))
    (block $end
      (loop $next
        (br_if $end (i32.ge_u (local.get $index) (local.get $count)))
        (local.set $variable (call $list_item (local.get $index)))
        (if (call $is_greeting (local.get $variable))
          (then
            (call $print (i32.const 1072) (i32.const 10))
            (call $print_line (i32.add (local.get $variable) (i32.const 9)))))
        (local.set $index (i32.add (local.get $index) (i32.const 1)))
        (br $next))))

  ;; Copies standard input to standard output.
  (func $copy_input
    (block $end
      (loop $next
        (i32.store (i32.const 0) (i32.const 4096))
        (i32.store (i32.const 4) (i32.const 4096))
        (call $check (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
        (br_if $end (i32.eqz (i32.load (i32.const 8))))
        (call $print (i32.const 4096) (i32.load (i32.const 8)))
        (br $next))))

  ;; Whether the text begins with GREETING=
  (func $is_greeting (param $text i32) (result i32)
    (local $index i32) (local $expected i32)
    (loop $next
      (local.set $expected
        (i32.load8_u (i32.add (i32.const 1096) (local.get $index))))
      (if (i32.eqz (local.get $expected)) (then (return (i32.const 1))))
      (if (i32.ne (local.get $expected)
                  (i32.load8_u (i32.add (local.get $text) (local.get $index))))
        (then (return (i32.const 0))))
      (local.set $index (i32.add (local.get $index) (i32.const 1)))
      (br $next))
    (unreachable))

  ;; Has memory for a list of the size that was just asked for.
  (func $reserve
    (local $end i32) (local $missing i32)
    (local.set $end
      (i32.add (call $behind_list (i32.load (i32.const 16))) (i32.load (i32.const 20))))
    (local.set $missing
      (i32.sub (i32.add (i32.shr_u (local.get $end) (i32.const 16)) (i32.const 1))
               (memory.size)))
    (if (i32.gt_s (local.get $missing) (i32.const 0))
      (then
        (if (i32.lt_s (memory.grow (local.get $missing)) (i32.const 0))
          (then (call $proc_exit (i32.const 1)))))))

  ;; Where the texts begin behind a list of so many addresses.
  (func $behind_list (param $count i32) (result i32)
    (i32.add (i32.const 8192) (i32.shl (local.get $count) (i32.const 2))))

  ;; The address in the list at this index.
  (func $list_item (param $index i32) (result i32)
    (i32.load (i32.add (i32.const 8192) (i32.shl (local.get $index) (i32.const 2)))))

  ;; Writes a text that ends with a zero byte, and a line feed.
  (func $print_line (param $text i32)
    (local $end i32)
    (local.set $end (local.get $text))
    (block $found
      (loop $next
        (br_if $found (i32.eqz (i32.load8_u (local.get $end))))
        (local.set $end (i32.add (local.get $end) (i32.const 1)))
        (br $next)))
    (call $print (local.get $text) (i32.sub (local.get $end) (local.get $text)))
    (call $print (i32.const 1088) (i32.const 1)))

  ;; Writes all bytes to standard output, in as many steps as it takes.
  (func $print (param $address i32) (param $length i32)
    (local $written i32)
    (block $end
      (loop $next
        (br_if $end (i32.eqz (local.get $length)))
        (i32.store (i32.const 0) (local.get $address))
        (i32.store (i32.const 4) (local.get $length))
        (call $check (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
        (local.set $written (i32.load (i32.const 8)))
        (local.set $address (i32.add (local.get $address) (local.get $written)))
        (local.set $length (i32.sub (local.get $length) (local.get $written)))
        (br $next))))

  ;; Exits with status 1 unless the call succeeded.
  (func $check (param $error i32)
    (if (local.get $error) (then (call $proc_exit (i32.const 1))))))
