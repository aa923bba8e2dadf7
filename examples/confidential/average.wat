;; Computes over a confidential file and tells only the aggregate.
;;
;; The file /data/salaries.csv has a heading line and then lines of a name, a department
;; and a salary in whole numbers. The program tells how many people there are, the sum
;; and the average. Of fewer than five people it tells nothing: an average over a few
;; says too much about each of them.
;;
;; It ends with status 0, or 1 when the file cannot be read, 2 when a line is malformed
;; (it says which, never what is in it), 3 when there are too few people.
(module
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_prestat_get"
    (func $fd_prestat_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read"
    (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit"
    (func $proc_exit (param i32)))

  ;; Memory:
  ;;     0  one buffer description for fd_read and fd_write: address, length
  ;;     8  how much was read or written; the file's descriptor; a directory's kind
  ;;    64  digits of a number that is printed, from the right end at 96
  ;;  1024  texts of this program
  ;;  4096  a piece of the file
  (memory (export "memory") 1)
  (data (i32.const 1024) "data/salaries.csv")
  (data (i32.const 1056) "people:  ")
  (data (i32.const 1072) "total:   ")
  (data (i32.const 1088) "average: ")
  (data (i32.const 1104) "\n")
  (data (i32.const 1120) "cannot read /data/salaries.csv\n")
  (data (i32.const 1168) "malformed line ")
  (data (i32.const 1200) "too few people to tell anything\n")

  ;; What was read so far.
  (global $line (mut i64) (i64.const 1))    ;; number of the line, from 1
  (global $column (mut i32) (i32.const 0))  ;; column of the line, from 0
  (global $digits (mut i32) (i32.const 0))  ;; digits in the column of the salary
  (global $empty (mut i32) (i32.const 1))   ;; nothing in this line yet
  (global $salary (mut i64) (i64.const 0))
  (global $people (mut i64) (i64.const 0))
  (global $total (mut i64) (i64.const 0))

  (func $main (export "_start")
    (call $read_file (call $open_file))
    ;; The last line may lack its line feed.
    (if (i32.eqz (global.get $empty)) (then (call $end_line)))
    (if (i64.lt_u (global.get $people) (i64.const 5))
      (then (call $fail (i32.const 3) (i32.const 1200) (i32.const 32))))
    (call $print (i32.const 1) (i32.const 1056) (i32.const 9))
    (call $print_number (i32.const 1) (global.get $people))
    (call $print (i32.const 1) (i32.const 1072) (i32.const 9))
    (call $print_number (i32.const 1) (global.get $total))
    (call $print (i32.const 1) (i32.const 1088) (i32.const 9))
    (call $print_number (i32.const 1) (i64.div_u (global.get $total) (global.get $people))))

  ;; Opens the file below the Keep's root directory, which is the first directory among
  ;; the descriptors, behind standard input, output and error.
  (func $open_file (result i32)
    (local $directory i32)
    (local.set $directory (i32.const 3))
    (block $found
      (loop $next
        (br_if $found
          (i32.eqz (call $fd_prestat_get (local.get $directory) (i32.const 8))))
        (local.set $directory (i32.add (local.get $directory) (i32.const 1)))
        (br_if $next (i32.lt_u (local.get $directory) (i32.const 64))))
      (call $fail (i32.const 1) (i32.const 1120) (i32.const 31)))
    (if (call $path_open
          (local.get $directory)
          (i32.const 0)                       ;; follow no links
          (i32.const 1024) (i32.const 17)     ;; the path
          (i32.const 0)                       ;; create nothing
          (i64.const 2) (i64.const 0)         ;; the right to read, nothing else
          (i32.const 0)
          (i32.const 8))
      (then (call $fail (i32.const 1) (i32.const 1120) (i32.const 31))))
    (i32.load (i32.const 8)))

  ;; Reads the file to its end, piece by piece.
  (func $read_file (param $file i32)
    (local $index i32)
    (block $end
      (loop $next_piece
        (i32.store (i32.const 0) (i32.const 4096))
        (i32.store (i32.const 4) (i32.const 4096))
        (if (call $fd_read (local.get $file) (i32.const 0) (i32.const 1) (i32.const 8))
          (then (call $fail (i32.const 1) (i32.const 1120) (i32.const 31))))
        (br_if $end (i32.eqz (i32.load (i32.const 8))))
        (local.set $index (i32.const 0))
        (loop $next_byte
          (call $take (i32.load8_u (i32.add (i32.const 4096) (local.get $index))))
          (local.set $index (i32.add (local.get $index) (i32.const 1)))
          (br_if $next_byte (i32.lt_u (local.get $index) (i32.load (i32.const 8)))))
        (br $next_piece))))

  ;; Takes the next character of the file.
  (func $take (param $character i32)
    ;; A carriage return before the line feed is part of the line's end.
    (if (i32.eq (local.get $character) (i32.const 13)) (then (return)))
    (if (i32.eq (local.get $character) (i32.const 10))
      (then
        (call $end_line)
        (return)))
    (global.set $empty (i32.const 0))
    ;; The first line is the heading.
    (if (i64.eq (global.get $line) (i64.const 1)) (then (return)))
    (if (i32.eq (local.get $character) (i32.const 44))
      (then
        (global.set $column (i32.add (global.get $column) (i32.const 1)))
        (return)))
    (if (i32.eq (global.get $column) (i32.const 2))
      (then (call $take_digit (i32.sub (local.get $character) (i32.const 48))))))

  ;; Takes the next digit of a salary, which has at most twelve.
  (func $take_digit (param $digit i32)
    (global.set $digits (i32.add (global.get $digits) (i32.const 1)))
    (if (i32.or (i32.gt_u (local.get $digit) (i32.const 9))
                (i32.gt_u (global.get $digits) (i32.const 12)))
      (then (call $malformed)))
    (global.set $salary
      (i64.add (i64.mul (global.get $salary) (i64.const 10))
               (i64.extend_i32_u (local.get $digit)))))

  ;; Counts the line that ends here, unless it is the heading or empty.
  (func $end_line
    (if (i32.and (i64.gt_u (global.get $line) (i64.const 1))
                 (i32.eqz (global.get $empty)))
      (then
        (if (i32.or (i32.ne (global.get $column) (i32.const 2))
                    (i32.eqz (global.get $digits)))
          (then (call $malformed)))
        (global.set $people (i64.add (global.get $people) (i64.const 1)))
        (global.set $total (i64.add (global.get $total) (global.get $salary)))))
    (global.set $line (i64.add (global.get $line) (i64.const 1)))
    (global.set $column (i32.const 0))
    (global.set $digits (i32.const 0))
    (global.set $empty (i32.const 1))
    (global.set $salary (i64.const 0)))

  ;; Ends the program, naming the line but not what is in it.
  (func $malformed
    (call $print (i32.const 2) (i32.const 1168) (i32.const 15))
    (call $print_number (i32.const 2) (global.get $line))
    (call $proc_exit (i32.const 2)))

  ;; Ends the program with this status and this text on standard error.
  (func $fail (param $status i32) (param $address i32) (param $length i32)
    (call $print (i32.const 2) (local.get $address) (local.get $length))
    (call $proc_exit (local.get $status))
    (unreachable))

  ;; Writes a number and a line feed.
  (func $print_number (param $descriptor i32) (param $number i64)
    (local $address i32)
    (local.set $address (i32.const 96))
    (loop $next
      (local.set $address (i32.sub (local.get $address) (i32.const 1)))
      (i32.store8 (local.get $address)
        (i32.add (i32.const 48)
                 (i32.wrap_i64 (i64.rem_u (local.get $number) (i64.const 10)))))
      (local.set $number (i64.div_u (local.get $number) (i64.const 10)))
      (br_if $next (i64.ne (local.get $number) (i64.const 0))))
    (call $print (local.get $descriptor) (local.get $address)
      (i32.sub (i32.const 96) (local.get $address)))
    (call $print (local.get $descriptor) (i32.const 1104) (i32.const 1)))

  ;; Writes all bytes, in as many steps as it takes.
  (func $print (param $descriptor i32) (param $address i32) (param $length i32)
    (local $written i32)
    (block $end
      (loop $next
        (br_if $end (i32.eqz (local.get $length)))
        (i32.store (i32.const 0) (local.get $address))
        (i32.store (i32.const 4) (local.get $length))
        (if (call $fd_write (local.get $descriptor) (i32.const 0) (i32.const 1) (i32.const 8))
          (then (call $proc_exit (i32.const 1))))
        (local.set $written (i32.load (i32.const 8)))
        (local.set $address (i32.add (local.get $address) (local.get $written)))
        (local.set $length (i32.sub (local.get $length) (local.get $written)))
        (br $next)))))
