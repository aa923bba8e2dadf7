;; Handles requests by WASI 0.3, by the first letter of their path:
;;
;;   /hello    answers
;;   /echo     sends the request's body back
;;   /trap     traps
;;   /wait     reads the request's body to its end, and answers with 200, or the error's number
;;   /cut      answers, and traps when it has written a part of its body and got all of the request's
;;   /late     answers, and writes its standard error when all of it was sent
;;   /fetch    makes a request to the authority that wasi:config has under "authority", with TLS unless
;;             "scheme" is there, and answers with its status, or the number of an error in head or body
;;   /part     begins such a request, and traps when it has written a part of its body, likewise
(component
    (type $bytes (stream u8))
    (import "wasi:config/store@0.2.0-rc.1" (instance $config
        (type $a-failure (variant (case "upstream" string) (case "io" string)))
        (export "error" (type $failure (eq $a-failure)))
        (export "get" (func (param "key" string) (result (result (option string) (error $failure)))))))
    (import "wasi:cli/types@0.3.0" (instance $cli
        (type $codes (enum "io" "illegal-byte-sequence" "pipe"))
        (export "error-code" (type (eq $codes)))))
    (alias export $cli "error-code" (type $cli-code))
    (import "wasi:cli/stderr@0.3.0" (instance $stderr
        (alias outer 1 $cli-code (type $c))
        (export "error-code" (type $code (eq $c)))
        (export "write-via-stream" (func
            (param "data" (stream u8)) (result (future (result (error $code))))))))
    (import "wasi:http/types@0.3.0" (instance $types
        (type $a-scheme (variant (case "HTTP") (case "HTTPS") (case "other" string)))
        (export "scheme" (type $scheme (eq $a-scheme)))
        (type $a-method (variant (case "get") (case "head") (case "post") (case "put") (case "delete")
            (case "connect") (case "options") (case "trace") (case "patch") (case "other" string)))
        (export "method" (type $method (eq $a-method)))
        ;; error-code.wat
        (export "fields" (type $fields (sub resource)))
        (export "request-options" (type $options (sub resource)))
        (export "request" (type $request (sub resource)))
        (export "response" (type $response (sub resource)))
        (type $trailers (future (result (option (own $fields)) (error $code))))
        (type $transmission (future (result (error $code))))
        (export "[constructor]fields" (func (result (own $fields))))
        (export "[method]request.get-path-with-query" (func
            (param "self" (borrow $request)) (result (option string))))
        (export "[static]request.consume-body" (func
            (param "this" (own $request)) (param "res" $transmission)
            (result (tuple (stream u8) $trailers))))
        (export "[static]request.new" (func
            (param "headers" (own $fields)) (param "contents" (option (stream u8)))
            (param "trailers" $trailers) (param "options" (option (own $options)))
            (result (tuple (own $request) $transmission))))
        (export "[method]request.set-method" (func
            (param "self" (borrow $request)) (param "method" $method) (result (result))))
        (export "[method]request.set-scheme" (func
            (param "self" (borrow $request)) (param "scheme" (option $scheme)) (result (result))))
        (export "[method]request.set-authority" (func
            (param "self" (borrow $request)) (param "authority" (option string)) (result (result))))
        (export "[method]request.set-path-with-query" (func
            (param "self" (borrow $request)) (param "path-with-query" (option string)) (result (result))))
        (export "[static]response.new" (func
            (param "headers" (own $fields)) (param "contents" (option (stream u8)))
            (param "trailers" $trailers) (result (tuple (own $response) $transmission))))
        (export "[method]response.get-status-code" (func
            (param "self" (borrow $response)) (result u16)))
        (export "[static]response.consume-body" (func
            (param "this" (own $response)) (param "res" $transmission)
            (result (tuple (stream u8) $trailers))))))
    (alias export $types "fields" (type $fields))
    (alias export $types "request" (type $request))
    (alias export $types "response" (type $response))
    (alias export $types "error-code" (type $code))
    (import "wasi:http/client@0.3.0" (instance $client
        (alias outer 1 $request (type $outer-request))
        (export "request" (type $request (eq $outer-request)))
        (alias outer 1 $response (type $outer-response))
        (export "response" (type $response (eq $outer-response)))
        (alias outer 1 $code (type $outer-code))
        (export "error-code" (type $code (eq $outer-code)))
        (export "send" (func async (param "request" (own $request))
            (result (result (own $response) (error $code)))))))
    (type $answer (result (own $response) (error $code)))
    (type $trailers (future (result (option (own $fields)) (error $code))))
    (type $transmission (future (result (error $code))))

    (core module $allocator
        (memory (export "memory") 2)
        (global $next (mut i32) (i32.const 65536))
        (func (export "realloc") (param i32 i32 i32 i32) (result i32) (local $at i32)
            (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
            (global.set $next (i32.add (local.get $at) (local.get 3)))
            (local.get $at)))
    (core instance $memory (instantiate $allocator))
    (alias core export $memory "memory" (core memory $m))
    (alias core export $memory "realloc" (core func $realloc))

    (core func $new-stream (canon stream.new $bytes))
    (core func $stream-read (canon stream.read $bytes async (memory $m)))
    (core func $stream-write (canon stream.write $bytes async (memory $m)))
    (core func $end-stream (canon stream.drop-writable $bytes))
    (core func $new-trailers (canon future.new $trailers))
    (core func $trailers-read (canon future.read $trailers async (memory $m) (realloc $realloc)))
    (core func $trailers-write (canon future.write $trailers async (memory $m)))
    (core func $new-transmission (canon future.new $transmission))
    (core func $transmission-read (canon future.read $transmission async (memory $m) (realloc $realloc)))
    (core func $new-set (canon waitable-set.new))
    (core func $set-wait (canon waitable-set.wait (memory $m)))
    (core func $join (canon waitable.join))
    (core func $return (canon task.return (result $answer) (memory $m)))
    (core func $stderr (canon lower (func $stderr "write-via-stream")))
    (core func $get-config (canon lower (func $config "get") (memory $m) (realloc $realloc)))
    (core func $new-fields (canon lower (func $types "[constructor]fields")))
    (core func $path (canon lower (func $types "[method]request.get-path-with-query") (memory $m) (realloc $realloc)))
    (core func $consume-request (canon lower (func $types "[static]request.consume-body") (memory $m)))
    (core func $new-request (canon lower (func $types "[static]request.new") (memory $m)))
    (core func $set-method (canon lower (func $types "[method]request.set-method") (memory $m)))
    (core func $set-scheme (canon lower (func $types "[method]request.set-scheme") (memory $m)))
    (core func $set-authority (canon lower (func $types "[method]request.set-authority") (memory $m)))
    (core func $set-path (canon lower (func $types "[method]request.set-path-with-query") (memory $m)))
    (core func $new-response (canon lower (func $types "[static]response.new") (memory $m)))
    (core func $status (canon lower (func $types "[method]response.get-status-code")))
    (core func $consume-response (canon lower (func $types "[static]response.consume-body") (memory $m)))
    (core func $send (canon lower (func $client "send") (memory $m) (realloc $realloc)))
    (core func $begin-sending (canon lower (func $client "send") async (memory $m) (realloc $realloc)))

    (core module $program
        (import "" "memory" (memory 1))
        (import "" "new-stream" (func $new-stream (result i64)))
        (import "" "stream-read" (func $stream-read (param i32 i32 i32) (result i32)))
        (import "" "stream-write" (func $stream-write (param i32 i32 i32) (result i32)))
        (import "" "end-stream" (func $end-stream (param i32)))
        (import "" "new-trailers" (func $new-trailers (result i64)))
        (import "" "trailers-read" (func $trailers-read (param i32 i32) (result i32)))
        (import "" "trailers-write" (func $trailers-write (param i32 i32) (result i32)))
        (import "" "new-transmission" (func $new-transmission (result i64)))
        (import "" "transmission-read" (func $transmission-read (param i32 i32) (result i32)))
        (import "" "new-set" (func $new-set (result i32)))
        (import "" "set-wait" (func $set-wait (param i32 i32) (result i32)))
        (import "" "join" (func $join (param i32 i32)))
        (import "" "return" (func $return (param i32 i32 i32 i64 i32 i32 i32 i32)))
        (import "" "stderr" (func $stderr (param i32) (result i32)))
        (import "" "get-config" (func $get-config (param i32 i32 i32)))
        (import "" "new-fields" (func $new-fields (result i32)))
        (import "" "path" (func $path (param i32 i32)))
        (import "" "consume-request" (func $consume-request (param i32 i32 i32)))
        (import "" "new-request" (func $new-request (param i32 i32 i32 i32 i32 i32 i32)))
        (import "" "set-method" (func $set-method (param i32 i32 i32 i32) (result i32)))
        (import "" "set-scheme" (func $set-scheme (param i32 i32 i32 i32 i32) (result i32)))
        (import "" "set-authority" (func $set-authority (param i32 i32 i32 i32) (result i32)))
        (import "" "set-path" (func $set-path (param i32 i32 i32 i32) (result i32)))
        (import "" "new-response" (func $new-response (param i32 i32 i32 i32 i32)))
        (import "" "status" (func $status (param i32) (result i32)))
        (import "" "consume-response" (func $consume-response (param i32 i32 i32)))
        (import "" "send" (func $send (param i32 i32)))
        (import "" "begin-sending" (func $begin-sending (param i32 i32) (result i32)))
        (data (i32.const 1024) "Hello from a Keep!\0a")
        (data (i32.const 1056) "authority")
        (data (i32.const 1072) "scheme")
        (data (i32.const 1080) "/")
        (global $set (mut i32) (i32.const 0))
        (global $received (mut i32) (i32.const 0))
        (global $received-trailers (mut i32) (i32.const 0))

        ;; What an operation came to, which gave `result`: waits if it has to.
        (func $done (param $waitable i32) (param $result i32) (result i32)
            (if (i32.ne (local.get $result) (i32.const -1)) (then (return (local.get $result))))
            (call $join (local.get $waitable) (global.get $set))
            (drop (call $set-wait (global.get $set) (i32.const 128)))
            (call $join (local.get $waitable) (i32.const 0))
            (i32.load offset=4 (i32.const 128)))

        ;; The readable and the writable end of two, the first on top.
        (func $ends (param $both i64) (result i32 i32)
            (i32.wrap_i64 (i64.shr_u (local.get $both) (i64.const 32)))
            (i32.wrap_i64 (local.get $both)))

        (func $write (param $stream i32) (param $at i32) (param $length i32) (local $count i32)
            (loop $more
                (local.set $count (i32.shr_u (call $done (local.get $stream)
                    (call $stream-write (local.get $stream) (local.get $at) (local.get $length)))
                    (i32.const 4)))
                (if (i32.eqz (local.get $count)) (then (unreachable)))
                (local.set $at (i32.add (local.get $at) (local.get $count)))
                (br_if $more (local.tee $length (i32.sub (local.get $length) (local.get $count))))))

        ;; Waits for the end of the request's body, and traps.
        (func $fail
            (drop (call $read (global.get $received) (global.get $received-trailers)))
            (unreachable))

        ;; Reads the body to its end; gives 200, or the error's number.
        (func $read (param $stream i32) (param $trailers i32) (result i32)
            (loop $more
                (br_if $more (i32.eqz (i32.and (i32.const 15) (call $done (local.get $stream)
                    (call $stream-read (local.get $stream) (i32.const 4096) (i32.const 4096)))))))
            (drop (call $done (local.get $trailers)
                (call $trailers-read (local.get $trailers) (i32.const 512))))
            (select (i32.load8_u offset=8 (i32.const 512)) (i32.const 200)
                (i32.load8_u (i32.const 512))))

        ;; Answers with this body and these trailers; gives the future of its transmission.
        (func $answer (param $stream i32) (param $trailers i32) (result i32)
            (call $new-response (call $new-fields) (i32.const 1) (local.get $stream) (local.get $trailers)
                (i32.const 256))
            (call $return (i32.const 0) (i32.load (i32.const 256))
                (i32.const 0) (i64.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))
            (i32.load offset=4 (i32.const 256)))

        ;; Answers with this text, or a part of it; gives the future of its transmission.
        (func $say (param $at i32) (param $length i32) (param $is-whole i32) (result i32)
            (local $stream i32) (local $trailers i32) (local $sent i32)
            (call $ends (call $new-trailers))
            (call $ends (call $new-stream))
            (local.set $sent)
            (local.set $stream)
            (local.set $trailers)
            (local.set $sent (call $answer (local.get $sent) (local.get $trailers)))
            (local.set $trailers)
            (call $write (local.get $stream) (local.get $at) (local.get $length))
            (if (i32.eqz (local.get $is-whole)) (then (call $fail)))
            (call $end-stream (local.get $stream))
            (i64.store (i32.const 640) (i64.const 0))
            (i64.store (i32.const 648) (i64.const 0))
            (drop (call $done (local.get $trailers)
                (call $trailers-write (local.get $trailers) (i32.const 640))))
            (local.get $sent))

        ;; Answers with a number in decimal.
        (func $say-number (param $number i32) (local $at i32)
            (local.set $at (i32.const 900))
            (loop $digit
                (local.set $at (i32.sub (local.get $at) (i32.const 1)))
                (i32.store8 (local.get $at)
                    (i32.add (i32.const 48) (i32.rem_u (local.get $number) (i32.const 10))))
                (br_if $digit (local.tee $number (i32.div_u (local.get $number) (i32.const 10)))))
            (drop (call $say (local.get $at) (i32.sub (i32.const 900) (local.get $at)) (i32.const 1))))

        ;; A request to the authority; a POST with this body unless it is 0.
        (func $request (param $stream i32) (result i32) (local $trailers i32) (local $request i32)
            (call $ends (call $new-trailers))
            (local.set $trailers)
            (call $new-request (call $new-fields)
                (i32.ne (local.get $stream) (i32.const 0)) (local.get $stream)
                (local.get $trailers) (i32.const 0) (i32.const 0) (i32.const 256))
            ;; Its writable end.
            (local.set $trailers)
            (local.set $request (i32.load (i32.const 256)))
            (call $get-config (i32.const 1072) (i32.const 6) (i32.const 512))
            (drop (call $set-scheme (local.get $request) (i32.const 1)
                (i32.eqz (i32.load8_u offset=4 (i32.const 512))) (i32.const 0) (i32.const 0)))
            (call $get-config (i32.const 1056) (i32.const 9) (i32.const 512))
            (drop (call $set-authority (local.get $request) (i32.const 1)
                (i32.load offset=8 (i32.const 512)) (i32.load offset=12 (i32.const 512))))
            (drop (call $set-path (local.get $request) (i32.const 1) (i32.const 1080) (i32.const 1)))
            (if (local.get $stream) (then
                (drop (call $set-method
                    (local.get $request) (i32.const 2) (i32.const 0) (i32.const 0)))))
            (if (i32.eqz (local.get $stream)) (then
                (i64.store (i32.const 640) (i64.const 0))
                (i64.store (i32.const 648) (i64.const 0))
                ;; Taken when the request is sent.
                (drop (call $trailers-write (local.get $trailers) (i32.const 640)))))
            (local.get $request))

        ;; Makes a request; gives its status, or the number of the error.
        (func $fetch (result i32) (local $response i32) (local $status i32) (local $result i32)
            (call $send (call $request (i32.const 0)) (i32.const 704))
            (if (i32.load8_u (i32.const 704)) (then (return (i32.load8_u offset=8 (i32.const 704)))))
            (local.set $response (i32.load offset=8 (i32.const 704)))
            (local.set $status (call $status (local.get $response)))
            (call $ends (call $new-transmission))
            (local.set $result)
            (drop)
            (call $consume-response (local.get $response) (local.get $result) (i32.const 256))
            (local.set $result (call $read
                (i32.load (i32.const 256)) (i32.load offset=4 (i32.const 256))))
            (select (local.get $status) (local.get $result)
                (i32.eq (local.get $result) (i32.const 200))))

        ;; Begins a request with a body, and writes a part of it.
        (func $part (local $stream i32) (local $readable i32)
            (call $ends (call $new-stream))
            (local.set $readable)
            (local.set $stream)
            (drop (call $begin-sending (call $request (local.get $readable)) (i32.const 704)))
            (call $write (local.get $stream) (i32.const 1024) (i32.const 5)))

        (func $tell-error (param $at i32) (param $length i32) (local $stream i32) (local $readable i32)
            (call $ends (call $new-stream))
            (local.set $readable)
            (local.set $stream)
            (drop (call $stderr (local.get $readable)))
            (call $write (local.get $stream) (local.get $at) (local.get $length))
            (call $end-stream (local.get $stream)))

        (func (export "handle") (param $request i32) (result i32) (local $letter i32) (local $result i32)
            (global.set $set (call $new-set))
            (call $path (local.get $request) (i32.const 256))
            (local.set $letter (i32.load8_u offset=1 (i32.load offset=4 (i32.const 256))))
            (if (i32.eq (local.get $letter) (i32.const 0x74 (;t;))) (then (unreachable)))
            (if (i32.eq (local.get $letter) (i32.const 0x66 (;f;))) (then
                (call $say-number (call $fetch))
                (return (i32.const 0))))
            (call $ends (call $new-transmission))
            (local.set $result)
            (drop)
            (call $consume-request (local.get $request) (local.get $result) (i32.const 256))
            (global.set $received (i32.load (i32.const 256)))
            (global.set $received-trailers (i32.load offset=4 (i32.const 256)))
            (if (i32.eq (local.get $letter) (i32.const 0x70 (;p;))) (then
                (call $part)
                (call $fail)))
            (if (i32.eq (local.get $letter) (i32.const 0x65 (;e;))) (then
                (drop (call $answer (global.get $received) (global.get $received-trailers)))
                (return (i32.const 0))))
            (if (i32.eq (local.get $letter) (i32.const 0x77 (;w;))) (then
                (call $say-number
                    (call $read (global.get $received) (global.get $received-trailers)))
                (return (i32.const 0))))
            (local.set $result (call $say (i32.const 1024) (i32.const 19)
                (i32.ne (local.get $letter) (i32.const 0x63 (;c;)))))
            (if (i32.eq (local.get $letter) (i32.const 0x6c (;l;))) (then
                (drop (call $done (local.get $result)
                    (call $transmission-read (local.get $result) (i32.const 512))))
                (if (i32.load8_u (i32.const 512)) (then (unreachable)))
                (call $tell-error (i32.const 1024) (i32.const 5))))
            (i32.const 0))
        (func (export "callback") (param i32 i32 i32) (result i32) (unreachable)))

    (core instance $main (instantiate $program (with "" (instance
        (export "memory" (memory $m))
        (export "new-stream" (func $new-stream))
        (export "stream-read" (func $stream-read))
        (export "stream-write" (func $stream-write))
        (export "end-stream" (func $end-stream))
        (export "new-trailers" (func $new-trailers))
        (export "trailers-read" (func $trailers-read))
        (export "trailers-write" (func $trailers-write))
        (export "new-transmission" (func $new-transmission))
        (export "transmission-read" (func $transmission-read))
        (export "new-set" (func $new-set))
        (export "set-wait" (func $set-wait))
        (export "join" (func $join))
        (export "return" (func $return))
        (export "stderr" (func $stderr))
        (export "get-config" (func $get-config))
        (export "new-fields" (func $new-fields))
        (export "path" (func $path))
        (export "consume-request" (func $consume-request))
        (export "new-request" (func $new-request))
        (export "set-method" (func $set-method))
        (export "set-scheme" (func $set-scheme))
        (export "set-authority" (func $set-authority))
        (export "set-path" (func $set-path))
        (export "new-response" (func $new-response))
        (export "status" (func $status))
        (export "consume-response" (func $consume-response))
        (export "send" (func $send))
        (export "begin-sending" (func $begin-sending))))))

    (func $handle async (param "request" (own $request)) (result $answer)
        (canon lift (core func $main "handle") async (memory $m) (callback (core func $main "callback"))))
    (instance $handler (export "handle" (func $handle)))
    (export "wasi:http/handler@0.3.0" (instance $handler)))
