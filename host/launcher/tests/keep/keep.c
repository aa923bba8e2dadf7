/* A Keep for tests: no C library, so that every system call is written here. It
 * obeys commands of one byte from the channel and answers on it. */

#include <stddef.h>
#include <stdint.h>
#include <linux/unistd.h>

enum { DIAGNOSTICS = 2, CHANNEL = 3, DEVICE = 4 };

static long call6(long n, long a, long b, long c, long d, long e, long f)
{
    long result;
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}

#define call(n, a, b, c) call6(n, (long)(a), (long)(b), (long)(c), 0, 0, 0)

static char buffer[70000];

/* Descriptors do not wait by themselves. */
static long receive(void *into, long size)
{
    struct { int descriptor; short events, found; } entry = { CHANNEL, 1, 0 };
    call(__NR_poll, &entry, 1, -1);
    return call(__NR_read, CHANNEL, into, size);
}

static void answer(int64_t value)
{
    call(__NR_write, CHANNEL, &value, sizeof value);
}

static void exit_with(long status)
{
    for (;;)
        call(__NR_exit_group, status, 0, 0);
}

/* Passes `size` bytes to the device and its whole answer back. */
static void ask_device(long size)
{
    receive(buffer, size);
    call(__NR_write, DEVICE, buffer, size);
    long count = 0;
    uint32_t header[2];
    call(__NR_read, DEVICE, header, sizeof header);
    while (count < header[1])
        count += call(__NR_read, DEVICE, buffer + count, header[1] - count);
    answer(header[0]);
    answer(count);
    call(__NR_write, CHANNEL, buffer, count);
}

static void obey(char command, long *stack)
{
    switch (command) {
    case 'a': { /* numbers of arguments and of environment entries */
        long arguments = stack[0];
        char **environment = (char **)(stack + 1 + arguments + 1);
        long count = 0;
        while (environment[count])
            count++;
        answer(arguments);
        answer(count);
        break;
    }
    case 'd': { /* open descriptors, as a bit set */
        int64_t open = 0;
        for (int i = 0; i < 63; i++)
            if (call(__NR_fcntl, i, 1, 0) >= 0)
                open |= (int64_t)1 << i;
        answer(open);
        answer(call(__NR_fcntl, 1000, 1, 0));
        break;
    }
    case 'u': /* user */
        answer(call(__NR_getuid, 0, 0, 0));
        answer(call(__NR_getpid, 0, 0, 0));
        break;
    case 'm': /* can this many MiB be written to? */
    {
        unsigned char mebibytes;
        receive(&mebibytes, 1);
        long size = (long)mebibytes << 20;
        char *memory = (char *)call6(__NR_mmap, 0, size, 3, 0x22, -1, 0);
        if ((long)memory > -4096 && (long)memory < 0) {
            answer((long)memory);
            break;
        }
        for (long i = 0; i < size; i += 4096)
            memory[i] = 1;
        answer(0);
        break;
    }
    case 's': { /* one system call with three arguments */
        int64_t arguments[4];
        receive(arguments, sizeof arguments);
        answer(call(arguments[0], arguments[1], arguments[2], arguments[3]));
        break;
    }
    case 'f': { /* a file of 3 bytes in the root directory's keep/files */
        call(__NR_mkdir, "keep", 0700, 0);
        call(__NR_mkdir, "keep/files", 0700, 0);
        long file = call(__NR_open, "keep/files/x", 0102, 0600);
        answer(file < 0 ? file : call(__NR_write, file, "abc", 3));
        break;
    }
    case 'o': /* the host's files */
        answer(call(__NR_open, "/etc/passwd", 0, 0));
        answer(call(__NR_open, "../../etc/passwd", 0, 0));
        break;
    case 'e': { /* diagnostics of as many bytes as the buffer holds, twice */
        for (size_t i = 0; i < sizeof buffer; i++)
            buffer[i] = 'x';
        call(__NR_write, DIAGNOSTICS, buffer, sizeof buffer);
        call(__NR_write, DIAGNOSTICS, "end", 3);
        answer(0);
        break;
    }
    case 'l': /* the processor, for ever */
        for (;;)
            __asm__ volatile("");
    case 'D':
        ask_device(8);
        break;
    case 'E':
        ask_device(72);
        break;
    case 'x': {
        unsigned char status;
        receive(&status, 1);
        exit_with(status);
    }
    }
}

__attribute__((used)) static void keep(long *stack)
{
    char command;
    while (receive(&command, 1) == 1)
        obey(command, stack);
    exit_with(0);
}

__attribute__((naked, used)) void _start(void)
{
    __asm__("mov %rsp, %rdi\n\tand $-16, %rsp\n\tcall keep\n\thlt");
}
