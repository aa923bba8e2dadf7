;; Handles requests by the first letter of their path:
;;
;;   /hello    answers
;;   /echo     sends the request's body back
;;   /trap     traps
;;   /spin     never ends
;;   /wait     reads the request's body before it answers
;;   /memory   asks for more memory than there is, and traps
;;   /fetch    makes a request to the authority that wasi:config has under "authority", with
;;             TLS unless "scheme" is there, and answers with its status, or the error's number
;;   /count    counts in wasi:keyvalue, and answers with the number
(component
    (import "wasi:io/poll@0.2.3" (instance $poll
        (export "pollable" (type $pollable (sub resource)))
        (export "[method]pollable.block" (func (param "self" (borrow $pollable))))))
    (alias export $poll "pollable" (type $pollable))
    (import "wasi:io/error@0.2.3" (instance $errors
        (export "error" (type (sub resource)))))
    (alias export $errors "error" (type $error))
    (import "wasi:io/streams@0.2.3" (instance $streams
        (alias outer 1 $error (type $outer-error))
        (export "error" (type $e (eq $outer-error)))
        (type $failure (variant (case "last-operation-failed" (own $e)) (case "closed")))
        (export "stream-error" (type $stream-error (eq $failure)))
        (export "input-stream" (type $input (sub resource)))
        (export "output-stream" (type $output (sub resource)))
        (export "[method]input-stream.blocking-read" (func
            (param "self" (borrow $input)) (param "len" u64)
            (result (result (list u8) (error $stream-error)))))
        (export "[method]output-stream.blocking-write-and-flush" (func
            (param "self" (borrow $output)) (param "contents" (list u8))
            (result (result (error $stream-error)))))))
    (alias export $streams "input-stream" (type $input))
    (alias export $streams "output-stream" (type $output))
    (import "wasi:http/types@0.2.3" (instance $types
        (alias outer 1 $input (type $outer-input))
        (export "input-stream" (type $input (eq $outer-input)))
        (alias outer 1 $output (type $outer-output))
        (export "output-stream" (type $output (eq $outer-output)))
        (alias outer 1 $pollable (type $outer-pollable))
        (export "pollable" (type $pollable (eq $outer-pollable)))
        (type $a-scheme (variant (case "HTTP") (case "HTTPS") (case "other" string)))
        (export "scheme" (type $scheme (eq $a-scheme)))
        ;; error-code.wat
        (export "fields" (type $fields (sub resource)))
        (export "incoming-request" (type $incoming-request (sub resource)))
        (export "incoming-body" (type $incoming-body (sub resource)))
        (export "outgoing-request" (type $outgoing-request (sub resource)))
        (export "request-options" (type $options (sub resource)))
        (export "future-incoming-response" (type $future (sub resource)))
        (export "incoming-response" (type $incoming-response (sub resource)))
        (export "outgoing-response" (type $outgoing-response (sub resource)))
        (export "outgoing-body" (type $outgoing-body (sub resource)))
        (export "response-outparam" (type $outparam (sub resource)))
        (export "[constructor]fields" (func (result (own $fields))))
        (export "[method]incoming-request.path-with-query" (func
            (param "self" (borrow $incoming-request)) (result (option string))))
        (export "[method]incoming-request.consume" (func
            (param "self" (borrow $incoming-request)) (result (result (own $incoming-body)))))
        (export "[method]incoming-body.stream" (func
            (param "self" (borrow $incoming-body)) (result (result (own $input)))))
        (export "[constructor]outgoing-request" (func
            (param "headers" (own $fields)) (result (own $outgoing-request))))
        (export "[method]outgoing-request.set-scheme" (func
            (param "self" (borrow $outgoing-request)) (param "scheme" (option $scheme)) (result (result))))
        (export "[method]outgoing-request.set-authority" (func
            (param "self" (borrow $outgoing-request)) (param "authority" (option string)) (result (result))))
        (export "[method]outgoing-request.set-path-with-query" (func
            (param "self" (borrow $outgoing-request)) (param "path-with-query" (option string)) (result (result))))
        (export "[method]future-incoming-response.subscribe" (func
            (param "self" (borrow $future)) (result (own $pollable))))
        (export "[method]future-incoming-response.get" (func
            (param "self" (borrow $future))
            (result (option (result (result (own $incoming-response) (error $code)))))))
        (export "[method]incoming-response.status" (func
            (param "self" (borrow $incoming-response)) (result u16)))
        (export "[constructor]outgoing-response" (func
            (param "headers" (own $fields)) (result (own $outgoing-response))))
        (export "[method]outgoing-response.body" (func
            (param "self" (borrow $outgoing-response)) (result (result (own $outgoing-body)))))
        (export "[method]outgoing-body.write" (func
            (param "self" (borrow $outgoing-body)) (result (result (own $output)))))
        (export "[static]outgoing-body.finish" (func
            (param "this" (own $outgoing-body)) (param "trailers" (option (own $fields)))
            (result (result (error $code)))))
        (export "[static]response-outparam.set" (func
            (param "param" (own $outparam))
            (param "response" (result (own $outgoing-response) (error $code)))))))
    (alias export $types "incoming-request" (type $incoming-request))
    (alias export $types "outgoing-request" (type $outgoing-request))
    (alias export $types "request-options" (type $options))
    (alias export $types "future-incoming-response" (type $future))
    (alias export $types "response-outparam" (type $outparam))
    (alias export $types "error-code" (type $code))
    (import "wasi:http/outgoing-handler@0.2.3" (instance $outgoing
        (alias outer 1 $outgoing-request (type $outer-request))
        (export "outgoing-request" (type $request (eq $outer-request)))
        (alias outer 1 $options (type $outer-options))
        (export "request-options" (type $options (eq $outer-options)))
        (alias outer 1 $future (type $outer-future))
        (export "future-incoming-response" (type $future (eq $outer-future)))
        (alias outer 1 $code (type $outer-code))
        (export "error-code" (type $code (eq $outer-code)))
        (export "handle" (func
            (param "request" (own $request)) (param "options" (option (own $options)))
            (result (result (own $future) (error $code)))))))
    (import "wasi:config/store@0.2.0-rc.1" (instance $config
        (type $a-failure (variant (case "upstream" string) (case "io" string)))
        (export "error" (type $failure (eq $a-failure)))
        (export "get" (func (param "key" string) (result (result (option string) (error $failure)))))))
    (import "wasi:keyvalue/store@0.2.0-draft" (instance $store
        (type $a-failure (variant (case "no-such-store") (case "access-denied") (case "other" string)))
        (export "error" (type $failure (eq $a-failure)))
        (export "bucket" (type $bucket (sub resource)))
        (export "open" (func (param "identifier" string) (result (result (own $bucket) (error $failure)))))))
    (alias export $store "bucket" (type $bucket))
    (alias export $store "error" (type $store-error))
    (import "wasi:keyvalue/atomics@0.2.0-draft" (instance $atomics
        (alias outer 1 $bucket (type $outer-bucket))
        (export "bucket" (type $bucket (eq $outer-bucket)))
        (alias outer 1 $store-error (type $outer-failure))
        (export "error" (type $failure (eq $outer-failure)))
        (export "increment" (func (param "bucket" (borrow $bucket)) (param "key" string) (param "delta" u64)
            (result (result u64 (error $failure)))))))

    ;; Memory, and an allocator that never takes anything back.
    (core module $allocator
        (memory (export "memory") 2)
        (global $next (mut i32) (i32.const 65536))
        (func (export "realloc") (param i32 i32 i32 i32) (result i32) (local $at i32)
            (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
            (global.set $next (i32.add (local.get $at) (local.get 3)))
            (block $fits
                (br_if $fits (i32.le_u (global.get $next) (i32.shl (memory.size) (i32.const 16))))
                (br_if $fits (i32.ne (i32.const -1) (memory.grow (i32.const 4))))
                (unreachable))
            (local.get $at)))
    (core instance $memory (instantiate $allocator))
    (alias core export $memory "memory" (core memory $m))
    (alias core export $memory "realloc" (core func $realloc))

    (core func $block (canon lower (func $poll "[method]pollable.block")))
    (core func $read (canon lower (func $streams "[method]input-stream.blocking-read") (memory $m) (realloc $realloc)))
    (core func $write (canon lower (func $streams "[method]output-stream.blocking-write-and-flush") (memory $m) (realloc $realloc)))
    (core func $new-fields (canon lower (func $types "[constructor]fields")))
    (core func $path (canon lower (func $types "[method]incoming-request.path-with-query") (memory $m) (realloc $realloc)))
    (core func $consume (canon lower (func $types "[method]incoming-request.consume") (memory $m)))
    (core func $stream (canon lower (func $types "[method]incoming-body.stream") (memory $m)))
    (core func $new-request (canon lower (func $types "[constructor]outgoing-request")))
    (core func $set-scheme (canon lower (func $types "[method]outgoing-request.set-scheme") (memory $m)))
    (core func $set-authority (canon lower (func $types "[method]outgoing-request.set-authority") (memory $m)))
    (core func $set-path (canon lower (func $types "[method]outgoing-request.set-path-with-query") (memory $m)))
    (core func $subscribe (canon lower (func $types "[method]future-incoming-response.subscribe")))
    (core func $get-response (canon lower (func $types "[method]future-incoming-response.get") (memory $m) (realloc $realloc)))
    (core func $status (canon lower (func $types "[method]incoming-response.status")))
    (core func $new-response (canon lower (func $types "[constructor]outgoing-response")))
    (core func $body (canon lower (func $types "[method]outgoing-response.body") (memory $m)))
    (core func $body-write (canon lower (func $types "[method]outgoing-body.write") (memory $m)))
    (core func $finish (canon lower (func $types "[static]outgoing-body.finish") (memory $m) (realloc $realloc)))
    (core func $set (canon lower (func $types "[static]response-outparam.set") (memory $m)))
    (core func $handle (canon lower (func $outgoing "handle") (memory $m) (realloc $realloc)))
    (core func $get-config (canon lower (func $config "get") (memory $m) (realloc $realloc)))
    (core func $open (canon lower (func $store "open") (memory $m) (realloc $realloc)))
    (core func $increment (canon lower (func $atomics "increment") (memory $m) (realloc $realloc)))
    (core func $drop-output (canon resource.drop $output))

    (core module $program
        (import "" "memory" (memory 1))
        (import "" "block" (func $block (param i32)))
        (import "" "read" (func $read (param i32 i64 i32)))
        (import "" "write" (func $write (param i32 i32 i32 i32)))
        (import "" "new-fields" (func $new-fields (result i32)))
        (import "" "path" (func $path (param i32 i32)))
        (import "" "consume" (func $consume (param i32 i32)))
        (import "" "stream" (func $stream (param i32 i32)))
        (import "" "new-request" (func $new-request (param i32) (result i32)))
        (import "" "set-scheme" (func $set-scheme (param i32 i32 i32 i32 i32) (result i32)))
        (import "" "set-authority" (func $set-authority (param i32 i32 i32 i32) (result i32)))
        (import "" "set-path" (func $set-path (param i32 i32 i32 i32) (result i32)))
        (import "" "subscribe" (func $subscribe (param i32) (result i32)))
        (import "" "get-response" (func $get-response (param i32 i32)))
        (import "" "status" (func $status (param i32) (result i32)))
        (import "" "new-response" (func $new-response (param i32) (result i32)))
        (import "" "body" (func $body (param i32 i32)))
        (import "" "body-write" (func $body-write (param i32 i32)))
        (import "" "finish" (func $finish (param i32 i32 i32 i32)))
        (import "" "set" (func $set (param i32 i32 i32 i32 i64 i32 i32 i32 i32)))
        (import "" "handle" (func $handle (param i32 i32 i32 i32)))
        (import "" "get-config" (func $get-config (param i32 i32 i32)))
        (import "" "open" (func $open (param i32 i32 i32)))
        (import "" "increment" (func $increment (param i32 i32 i32 i64 i32)))
        (import "" "drop-output" (func $drop-output (param i32)))
        (data (i32.const 1024) "Hello from a Keep!\0a")
        (data (i32.const 1056) "authority")
        (data (i32.const 1072) "scheme")
        (data (i32.const 1080) "/")

        ;; What a result that is no error holds.
        (func $must (param $result i32) (result i32)
            (if (i32.load8_u (local.get $result)) (then (unreachable)))
            (i32.load offset=4 (local.get $result)))

        ;; Begins the answer; gives its body, and puts the stream to it at 0.
        (func $answer (param $out i32) (result i32) (local $response i32) (local $body i32)
            (local.set $response (call $new-response (call $new-fields)))
            (call $body (local.get $response) (i32.const 256))
            (local.set $body (call $must (i32.const 256)))
            (call $body-write (local.get $body) (i32.const 256))
            (i32.store (i32.const 0) (call $must (i32.const 256)))
            (call $set (local.get $out) (i32.const 0) (local.get $response)
                (i32.const 0) (i64.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))
            (local.get $body))

        (func $say (param $at i32) (param $length i32)
            (call $write (i32.load (i32.const 0)) (local.get $at) (local.get $length) (i32.const 256))
            (if (i32.load8_u (i32.const 256)) (then (unreachable))))

        (func $end (param $body i32)
            (call $drop-output (i32.load (i32.const 0)))
            (call $finish (local.get $body) (i32.const 0) (i32.const 0) (i32.const 256))
            (if (i32.load8_u (i32.const 256)) (then (unreachable))))

        ;; Says a number in decimal.
        (func $say-number (param $number i32) (local $at i32)
            (local.set $at (i32.const 900))
            (loop $digit
                (local.set $at (i32.sub (local.get $at) (i32.const 1)))
                (i32.store8 (local.get $at)
                    (i32.add (i32.const 48) (i32.rem_u (local.get $number) (i32.const 10))))
                (br_if $digit (local.tee $number (i32.div_u (local.get $number) (i32.const 10)))))
            (call $say (local.get $at) (i32.sub (i32.const 900) (local.get $at))))

        ;; Reads a body, and sends it back if there is a stream for it.
        (func $receive (param $request i32) (param $echo i32) (local $input i32)
            (call $consume (local.get $request) (i32.const 256))
            (call $stream (call $must (i32.const 256)) (i32.const 256))
            (local.set $input (call $must (i32.const 256)))
            (block $end (loop $next
                (call $read (local.get $input) (i64.const 4096) (i32.const 512))
                (if (i32.load8_u (i32.const 512)) (then
                    ;; Closed is the end; all else has no answer.
                    (br_if $end (i32.load8_u offset=4 (i32.const 512)))
                    (unreachable)))
                (if (local.get $echo) (then
                    (call $say (i32.load offset=4 (i32.const 512)) (i32.load offset=8 (i32.const 512)))))
                (br $next))))

        ;; Makes a request; gives its status, or the number of the error.
        (func $fetch (result i32) (local $request i32) (local $plain i32)
            (local.set $request (call $new-request (call $new-fields)))
            (call $get-config (i32.const 1072) (i32.const 6) (i32.const 512))
            (local.set $plain (i32.load8_u offset=4 (i32.const 512)))
            (drop (call $set-scheme (local.get $request) (i32.const 1)
                (i32.eqz (local.get $plain)) (i32.const 0) (i32.const 0)))
            (call $get-config (i32.const 1056) (i32.const 9) (i32.const 512))
            (drop (call $set-authority (local.get $request) (i32.const 1)
                (i32.load offset=8 (i32.const 512)) (i32.load offset=12 (i32.const 512))))
            (drop (call $set-path (local.get $request) (i32.const 1) (i32.const 1080) (i32.const 1)))
            (call $handle (local.get $request) (i32.const 0) (i32.const 0) (i32.const 512))
            (if (i32.load8_u (i32.const 512)) (then (return (i32.load8_u offset=8 (i32.const 512)))))
            (local.set $request (i32.load offset=8 (i32.const 512)))
            (call $block (call $subscribe (local.get $request)))
            (call $get-response (local.get $request) (i32.const 512))
            (if (i32.load8_u offset=16 (i32.const 512)) (then
                (return (i32.load8_u offset=24 (i32.const 512)))))
            (call $status (i32.load offset=24 (i32.const 512))))

        (func (export "handle") (param $request i32) (param $out i32) (local $letter i32) (local $body i32) (local $number i32)
            (call $path (local.get $request) (i32.const 256))
            (local.set $letter (i32.load8_u offset=1 (i32.load offset=4 (i32.const 256))))
            (if (i32.eq (local.get $letter) (i32.const 0x74)) (then (unreachable)))
            (if (i32.eq (local.get $letter) (i32.const 0x73)) (then (loop $spin (br $spin))))
            (if (i32.eq (local.get $letter) (i32.const 0x77)) (then
                (call $receive (local.get $request) (i32.const 0))))
            (if (i32.eq (local.get $letter) (i32.const 0x6d)) (then
                (if (i32.eq (i32.const -1) (memory.grow (i32.const 60000))) (then (unreachable)))))
            (if (i32.eq (local.get $letter) (i32.const 0x66)) (then
                (local.set $number (call $fetch))))
            (if (i32.eq (local.get $letter) (i32.const 0x63)) (then
                (call $open (i32.const 0) (i32.const 0) (i32.const 512))
                (call $increment (call $must (i32.const 512)) (i32.const 1072) (i32.const 6) (i64.const 1) (i32.const 512))
                (if (i32.load8_u (i32.const 512)) (then (unreachable)))
                (local.set $number (i32.load offset=8 (i32.const 512)))))
            (local.set $body (call $answer (local.get $out)))
            (if (i32.eq (local.get $letter) (i32.const 0x65))
                (then (call $receive (local.get $request) (i32.const 1)))
                (else (if (local.get $number)
                    (then (call $say-number (local.get $number)))
                    (else (call $say (i32.const 1024) (i32.const 19))))))
            (call $end (local.get $body))))

    (core instance $main (instantiate $program (with "" (instance
        (export "memory" (memory $m))
        (export "block" (func $block))
        (export "read" (func $read))
        (export "write" (func $write))
        (export "new-fields" (func $new-fields))
        (export "path" (func $path))
        (export "consume" (func $consume))
        (export "stream" (func $stream))
        (export "new-request" (func $new-request))
        (export "set-scheme" (func $set-scheme))
        (export "set-authority" (func $set-authority))
        (export "set-path" (func $set-path))
        (export "subscribe" (func $subscribe))
        (export "get-response" (func $get-response))
        (export "status" (func $status))
        (export "new-response" (func $new-response))
        (export "body" (func $body))
        (export "body-write" (func $body-write))
        (export "finish" (func $finish))
        (export "set" (func $set))
        (export "handle" (func $handle))
        (export "get-config" (func $get-config))
        (export "open" (func $open))
        (export "increment" (func $increment))
        (export "drop-output" (func $drop-output))))))

    (func $handle-request (param "request" (own $incoming-request)) (param "response-out" (own $outparam))
        (canon lift (core func $main "handle")))
    (instance $handler (export "handle" (func $handle-request)))
    (export "wasi:http/incoming-handler@0.2.3" (instance $handler)))
