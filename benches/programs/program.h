/* What every program here needs of its system: a clock and one line of output.
 *
 * As WebAssembly it imports two functions of WASI preview 1 and nothing else, so
 * that a compiler for wasm32 without any C library builds it. Natively it uses
 * the system's C library.
 *
 * A program defines `prepare`, which is not timed, and `work`, which is, and whose
 * result depends on all that was computed. It prints one line:
 *
 *     <checksum, decimal> <nanoseconds that work took, decimal>
 */
#ifndef PROGRAM_H
#define PROGRAM_H

#include <stdint.h>

static void prepare(void);
static uint64_t work(void);

#ifdef __wasm__

typedef unsigned long size_t;

struct wasi_buffer {
    const void *bytes;
    size_t length;
};

#define WASI(name) __attribute__((import_module("wasi_snapshot_preview1"), import_name(#name)))
enum { WASI_MONOTONIC_CLOCK = 1, WASI_STDOUT = 1 };

WASI(clock_time_get) int32_t wasi_clock_time_get(int32_t clock, uint64_t precision, uint64_t *time);
WASI(fd_write)
int32_t wasi_fd_write(int32_t fd, const struct wasi_buffer *buffers, size_t count, size_t *written);

/* The compiler may call these two whatever the program itself calls. */
void *memset(void *to, int value, size_t length) { return __builtin_memset(to, value, length); }

void *memcpy(void *restrict to, const void *restrict from, size_t length)
{
    return __builtin_memcpy(to, from, length);
}

static uint64_t now(void)
{
    uint64_t time = 0;
    if (wasi_clock_time_get(WASI_MONOTONIC_CLOCK, 1, &time) != 0)
        __builtin_trap();
    return time;
}

static void print(const char *line, size_t length)
{
    struct wasi_buffer buffer = {line, length};
    size_t written = 0;
    if (wasi_fd_write(WASI_STDOUT, &buffer, 1, &written) != 0 || written != length)
        __builtin_trap();
}

#define ENTRY __attribute__((export_name("_start"))) void _start(void)
#define END

#else

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static uint64_t now(void)
{
    struct timespec time;
    if (clock_gettime(CLOCK_MONOTONIC, &time) != 0)
        abort();
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static void print(const char *line, size_t length)
{
    if (fwrite(line, 1, length, stdout) != length)
        abort();
}

#define ENTRY int main(void)
#define END return 0

#endif

/* A generator of test data (xorshift64, Marsaglia 2003); the same on every system. */
static uint64_t random_state = 0x9e3779b97f4a7c15u;

static inline uint64_t random_bits(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

/* Writes a number's decimal digits; gives the place after them. */
static char *decimal(char *to, uint64_t number)
{
    char digits[20];
    int count = 0;
    do
        digits[count++] = (char)('0' + number % 10);
    while ((number /= 10) != 0);
    while (count > 0)
        *to++ = digits[--count];
    return to;
}

ENTRY
{
    prepare();
    uint64_t start = now();
    uint64_t checksum = work();
    uint64_t nanoseconds = now() - start;

    char line[48], *end = decimal(line, checksum);
    *end++ = ' ';
    end = decimal(end, nanoseconds);
    *end++ = '\n';
    print(line, (size_t)(end - line));
    END;
}

#endif
