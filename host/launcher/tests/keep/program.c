/* An ordinary program of the C library's, which is told over the channel what to do. It ends
 * with status 7 if all was right, and with the number of the line that found it was not
 * otherwise. */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

/* The first thread is one of a Keep's eight. */
enum { MOST_THREADS = 7, ROUNDS = 400, PAGE = 4096, CHANNEL = 3, DEVICE = 4, RIGHT = 7 };

#define must(condition)         \
    do {                        \
        if (!(condition))       \
            _exit(__LINE__ & 255); \
    } while (0)

/* Signals: each is caused by an instruction of ours. */

static __thread sigjmp_buf back;
static __thread volatile int caught;

/* Goes on behind an instruction of two bytes. */
static void skip(int number, siginfo_t *info, void *context)
{
    (void)info;
    caught = number;
    ((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP] += 2;
    /* The handler uses the registers that must come back. */
    __asm__ volatile("pcmpeqb %%xmm0, %%xmm0\n\tpxor %%xmm7, %%xmm7\n\tpxor %%xmm15, %%xmm15\n\t"
                     "fninit" ::: "xmm0", "xmm7", "xmm15");
}

static void leave(int number, siginfo_t *info, void *context)
{
    (void)info, (void)context;
    caught = number;
    siglongjmp(back, 1);
}

static void handle(int number, void (*handler)(int, siginfo_t *, void *))
{
    struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_ONSTACK };
    must(sigaction(number, &action, NULL) == 0);
}

static void use_alternate_stack(void)
{
    enum { SIZE = 64 << 10 };
    stack_t stack = { .ss_sp = malloc(SIZE), .ss_size = SIZE };
    must(stack.ss_sp && sigaltstack(&stack, NULL) == 0);
}

/* Registers: sixteen of SSE, two of x87, and the control words, across an exception that is
 * handled, a page fault, and a system call. */

struct registers {
    uint64_t sse[16][2];
    double x87[2];
    uint32_t mxcsr;
    uint16_t control;
};

#define EACH_SSE(do) do(0) do(1) do(2) do(3) do(4) do(5) do(6) do(7) do(8) do(9) do(10) do(11) \
    do(12) do(13) do(14) do(15)
#define LOAD(n) "movups 16*" #n "(%[in]), %%xmm" #n "\n\t"
#define STORE(n) "movups %%xmm" #n ", 16*" #n "(%[out])\n\t"
#define CLOBBERED(n) "xmm" #n,

#define ACROSS(instructions)                                                                  \
    __asm__ volatile(EACH_SSE(LOAD)                                                           \
        "fninit\n\tfldl 256(%[in])\n\tfldl 264(%[in])\n\t"                                    \
        "ldmxcsr 272(%[in])\n\tfldcw 276(%[in])\n\t"                                          \
        instructions "\n\t"                                                                   \
        EACH_SSE(STORE)                                                                       \
        "stmxcsr 272(%[out])\n\tfstcw 276(%[out])\n\t"                                        \
        "fstpl 264(%[out])\n\tfstpl 256(%[out])\n\tfninit\n\tldmxcsr %[usual]"                \
        : "+&a"(number)                                                                       \
        : [in] "r"(&in), [out] "r"(&out), [page] "r"(page), [usual] "m"(usual)                \
        : EACH_SSE(CLOBBERED) "rcx", "r11", "memory", "cc")

static void keep_registers(uint64_t seed)
{
    struct registers in, out;
    const uint32_t usual = 0x1f80;
    uint64_t number;
    memset(&in, 0, sizeof in);
    for (int i = 0; i < 16; i++)
        for (int half = 0; half < 2; half++)
            in.sse[i][half] = seed = seed * 6364136223846793005u + 1442695040888963407u;
    in.x87[0] = 1.25 + (double)(seed >> 40), in.x87[1] = -3.5;
    /* Rounding towards zero, and down; all exceptions masked. */
    in.mxcsr = 0x7f80, in.control = 0x077f;

    char *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    must(page != MAP_FAILED);
    memset(&out, 0, sizeof out), number = 0;
    ACROSS("movb $9, (%[page])");
    must(memcmp(&in, &out, sizeof in) == 0 && *page == 9);
    must(munmap(page, PAGE) == 0);

    memset(&out, 0, sizeof out), number = 0, caught = 0;
    ACROSS("ud2");
    must(memcmp(&in, &out, sizeof in) == 0 && caught == SIGILL);

    memset(&out, 0, sizeof out), number = 39; /* getpid */
    ACROSS("syscall");
    must(memcmp(&in, &out, sizeof in) == 0 && number == (uint64_t)getpid());
}

static void trap(void)
{
    volatile int zero = 0, seven = 7;
    char *page = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    must(page != MAP_FAILED);
    caught = 0;
    if (!sigsetjmp(back, 1))
        *(volatile char *)page = 1;
    must(caught == SIGSEGV);
    caught = 0;
    if (!sigsetjmp(back, 1))
        zero = seven / zero;
    must(caught == SIGFPE);
    must(munmap(page, PAGE) == 0);
}

/* Access that one thread takes away while another waits for it to say so. */

static char *withdrawn;
static pthread_barrier_t touched, gone;

static void *touch(void *argument)
{
    use_alternate_stack();
    *(volatile char *)withdrawn = 1;
    pthread_barrier_wait(&touched);
    pthread_barrier_wait(&gone);
    caught = 0;
    if (!sigsetjmp(back, 1))
        *(volatile char *)withdrawn = 2;
    must(caught == SIGSEGV);
    return argument;
}

static void withdraw(void)
{
    for (int round = 0; round < 20; round++) {
        pthread_t other;
        withdrawn = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        must(withdrawn != MAP_FAILED);
        must(pthread_barrier_init(&touched, NULL, 2) == 0);
        must(pthread_barrier_init(&gone, NULL, 2) == 0);
        must(pthread_create(&other, NULL, touch, NULL) == 0);
        pthread_barrier_wait(&touched);
        /* The other one waits in the kernel by now, or soon. */
        usleep(200);
        must(mprotect(withdrawn, PAGE, PROT_NONE) == 0);
        pthread_barrier_wait(&gone);
        must(pthread_join(other, NULL) == 0);
        must(munmap(withdrawn, PAGE) == 0);
    }
}

/* Futexes: a token that goes round under one lock, and a sum that nobody may lose from. */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t passed = PTHREAD_COND_INITIALIZER;
static pthread_barrier_t start;
static unsigned thread_count;
static unsigned token;
static uint64_t sum;

static void pass_token(unsigned self)
{
    for (int round = 0; round < ROUNDS; round++) {
        must(pthread_mutex_lock(&lock) == 0);
        while (token % thread_count != self)
            must(pthread_cond_wait(&passed, &lock) == 0);
        token++;
        sum += self;
        must(pthread_cond_broadcast(&passed) == 0);
        must(pthread_mutex_unlock(&lock) == 0);
    }
}

/* A time that has passed, and one that is waited for. */
static void wait_in_vain(void)
{
    pthread_mutex_t own = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t never = PTHREAD_COND_INITIALIZER;
    struct timespec until;
    must(clock_gettime(CLOCK_REALTIME, &until) == 0);
    must(pthread_mutex_lock(&own) == 0);
    must(pthread_cond_timedwait(&never, &own, &until) == ETIMEDOUT);
    until.tv_nsec += 1000000;
    if (until.tv_nsec >= 1000000000)
        until.tv_nsec -= 1000000000, until.tv_sec++;
    must(pthread_cond_timedwait(&never, &own, &until) == ETIMEDOUT);
    must(pthread_mutex_unlock(&own) == 0);
}

/* Memory that comes and goes while others do the same. */
static void use_memory(unsigned self)
{
    for (int round = 0; round < 20; round++) {
        size_t size = (size_t)(1 + (self + round) % 9) * 40000;
        unsigned char *bytes = malloc(size);
        must(bytes);
        memset(bytes, (int)self, size);
        bytes = realloc(bytes, 2 * size);
        must(bytes && bytes[0] == self && bytes[size - 1] == self);
        memset(bytes + size, round, size);
        must(bytes[size - 1] == self && bytes[2 * size - 1] == (unsigned char)round);
        free(bytes);
    }
}

/* Memory that all threads touch for the first time at once, each a byte of every page: what one of them has
 * written stays, whoever made the page. */
static volatile char *fresh;

static void touch_at_once(unsigned self)
{
    enum { PAGES = 16 };
    for (int round = 0; round < 20; round++) {
        if (self == 0) {
            fresh = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            must(fresh != MAP_FAILED);
        }
        pthread_barrier_wait(&start);
        for (int page = 0; page < PAGES; page++)
            fresh[page * PAGE + (int)self] = (char)(round + 1);
        pthread_barrier_wait(&start);
        for (int page = 0; page < PAGES; page++)
            must(fresh[page * PAGE + (int)self] == (char)(round + 1));
        pthread_barrier_wait(&start);
        if (self == 0)
            must(munmap((void *)fresh, PAGES * PAGE) == 0);
    }
}

static __thread unsigned own;

static void *work(void *argument)
{
    unsigned self = (unsigned)(uintptr_t)argument;
    own = self;
    use_alternate_stack();
    pthread_barrier_wait(&start);
    for (unsigned round = 0; round < 20; round++) {
        keep_registers(self * 1000 + round);
        trap();
    }
    use_memory(self);
    touch_at_once(self);
    pass_token(self);
    wait_in_vain();
    must(own == self);
    return argument;
}

static void *nothing(void *argument)
{
    return argument;
}

/* Threads, and what the kernel beneath keeps for each of them. */
static void use_threads(unsigned count)
{
    pthread_t threads[MOST_THREADS];
    must(count <= MOST_THREADS);
    thread_count = count;
    handle(SIGILL, skip);
    handle(SIGSEGV, leave);
    handle(SIGFPE, leave);
    must(pthread_barrier_init(&start, NULL, count) == 0);
    for (uintptr_t i = 0; i < count; i++)
        must(pthread_create(&threads[i], NULL, work, (void *)i) == 0);
    for (uintptr_t i = 0; i < count; i++) {
        void *result;
        must(pthread_join(threads[i], &result) == 0 && result == (void *)i);
    }
    must(token == count * ROUNDS);
    must(sum == (uint64_t)ROUNDS * count * (count - 1) / 2);

    withdraw();

    /* Threads end and begin again and again, and there are never too many. */
    for (uintptr_t i = 0; i < 100; i++) {
        void *result;
        must(pthread_create(&threads[0], NULL, nothing, (void *)i) == 0);
        must(pthread_join(threads[0], &result) == 0 && result == (void *)i);
    }
}

/* Memory that runs out, in one way after the other: the program is told, whatever has used it up, and can
 * use all that it was promised. */

enum { MEBIBYTE = 1 << 20, BLOCK = 2 * MEBIBYTE };

static char *map(size_t size, int protection)
{
    char *at = mmap(NULL, size, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    must(at != MAP_FAILED || errno == ENOMEM);
    return at == MAP_FAILED ? NULL : at;
}

/* Reads every page, and writes it where that is possible. */
static void touch_all(volatile char *at, size_t size, int protection)
{
    for (size_t page = 0; page < size; page += PAGE) {
        must(at[page] == 0);
        if (protection & PROT_WRITE)
            at[page] = 1;
    }
}

/* All memory that there is, as many MiB as `taken` says. */
static char *taken[1024];
static int taken_count;

static void take_memory(int protection)
{
    for (; (taken[taken_count] = map(MEBIBYTE, protection)); taken_count++) {
        must(taken_count < 1023);
        touch_all(taken[taken_count], MEBIBYTE, protection);
    }
}

static void give_memory(void)
{
    while (taken_count > 0)
        must(munmap(taken[--taken_count], MEBIBYTE) == 0);
}

static size_t fill(int file)
{
    static char bytes[64 << 10];
    size_t written = 0;
    for (ssize_t count; (count = write(file, bytes, sizeof bytes)) > 0;)
        written += (size_t)count;
    must(errno == ENOSPC);
    return written;
}

static void make_names(void)
{
    char name[200];
    memset(name, 'n', sizeof name - 1);
    name[0] = '/', name[sizeof name - 1] = 0;
    for (unsigned number = 0;; number++) {
        for (int digit = 0; digit < 8; digit++)
            name[1 + digit] = (char)('a' + (number >> 4 * digit & 15));
        int file = open(name, O_CREAT | O_WRONLY, 0600);
        if (file < 0)
            break;
        must(close(file) == 0);
    }
    must(errno == ENOSPC);
}

/* A page of each block of a large room, until there are no more tables for them; gives how many. */
static size_t take_pages(void)
{
    const size_t room = (size_t)BLOCK << 16;
    size_t count = 0;
    char *at = map(room, PROT_NONE);
    must(at);
    while (mprotect(at + count * BLOCK, PAGE, PROT_READ | PROT_WRITE) == 0)
        touch_all(at + count++ * BLOCK, PAGE, PROT_WRITE);
    must(errno == ENOMEM && munmap(at, room) == 0);
    return count;
}

static void use_up(void)
{
    enum { WRITE = PROT_READ | PROT_WRITE };
    int file = open("/large", O_CREAT | O_RDWR | O_TRUNC, 0600);
    must(file >= 0);
    /* What is only read takes memory too. */
    for (int writes = 0; writes < 2; writes++) {
        take_memory(writes ? WRITE : PROT_READ);
        must(taken_count > 50 && taken_count <= 64);
        give_memory();
    }
    /* Files have what is left, and what they do not have any more others can. */
    must(fill(file) > 50 * MEBIBYTE);
    take_memory(WRITE);
    must(taken_count < 50 && fill(file) < MEBIBYTE);
    give_memory();
    must(ftruncate(file, 0) == 0);
    take_memory(WRITE);
    must(taken_count > 50);
    must(lseek(file, 0, SEEK_SET) == 0 && fill(file) < 40 * MEBIBYTE);
    give_memory();
    must(take_pages() > 1000);
    must(fill(file) > MEBIBYTE);
    must(ftruncate(file, 0) == 0);
    take_memory(WRITE);
    fill(file);
    make_names();
    give_memory();
    take_memory(WRITE);
    give_memory();
}

/* Memory that is given back, and comes again with zeros in it, at other addresses too. */

static void await(int stream);
static void receive(int stream, void *into, size_t size);

static void tell(char what)
{
    must(write(CHANNEL, &what, 1) == 1);
}

static void give_back(void)
{
    enum { WRITE = PROT_READ | PROT_WRITE, ROUNDS_OF_IT = 4 };
    const size_t size = 100 * MEBIBYTE;
    char command;
    for (int round = 0; round < ROUNDS_OF_IT; round++) {
        char *at = map(size, WRITE);
        must(at);
        touch_all(at, size, WRITE);
        tell('t');
        receive(CHANNEL, &command, 1);
        if (round % 2) {
            /* What is discarded stays, and is zeros. */
            must(madvise(at, size, MADV_DONTNEED) == 0);
            touch_all(at, size, WRITE);
        }
        must(munmap(at, size) == 0);
        tell('g');
        receive(CHANNEL, &command, 1);
        /* What comes next lies elsewhere. */
        must(map(2 * MEBIBYTE, PROT_NONE));
    }
}

/* The same while another thread computes, calls, and has seen the memory. */

static volatile char *shared_page;
static volatile int is_over;

static void *look_on(void *argument)
{
    while (!is_over) {
        if (shared_page)
            (void)*shared_page;
        for (int i = 0; i < 1000; i++)
            __asm__ volatile("");
        usleep(1);
    }
    return argument;
}

static void churn(void)
{
    enum { WRITE = PROT_READ | PROT_WRITE, SIZE = 4 * BLOCK };
    pthread_t other;
    must(pthread_create(&other, NULL, look_on, NULL) == 0);
    char *kept = map(SIZE, WRITE);
    must(kept);
    touch_all(kept, SIZE, WRITE);
    shared_page = kept;
    for (int round = 0; round < 20; round++) {
        char *at = map(SIZE, WRITE);
        must(at);
        touch_all(at, SIZE, WRITE);
        must(munmap(at, SIZE) == 0);
        must(map(SIZE, PROT_NONE));
        must(kept[0] == 1 && kept[SIZE - PAGE] == 1);
    }
    is_over = 1;
    must(pthread_join(other, NULL) == 0);
}

/* Another processor may remember what was unmapped until it calls. What lies elsewhere it never sees there. */

static volatile int looks;

static void *stare(void *argument)
{
    use_alternate_stack();
    if (!sigsetjmp(back, 1)) {
        must(*shared_page == 1);
        for (looks = 1; !is_over;)
            must(*shared_page == 1);
    }
    return argument;
}

static void unmap_what_others_see(void)
{
    enum { WRITE = PROT_READ | PROT_WRITE };
    handle(SIGSEGV, leave);
    for (int round = 0; round < 10; round++) {
        pthread_t other;
        char *seen = map(4 * BLOCK, WRITE), *next;
        must(seen);
        memset(seen, 1, 4 * BLOCK);
        shared_page = seen, looks = is_over = 0;
        must(pthread_create(&other, NULL, stare, NULL) == 0);
        while (!looks)
            __asm__ volatile("");
        must(munmap(seen, 4 * BLOCK) == 0);
        must(map(4 * BLOCK, PROT_NONE) && (next = map(BLOCK, WRITE)));
        memset(next, 2, BLOCK);
        usleep(1000);
        is_over = 1;
        must(pthread_join(other, NULL) == 0);
        must(munmap(next, BLOCK) == 0);
    }
}

/* Constants that machines map in large pages, and the access to single pages of them. */

enum { LARGE = 2 << 20 };
static const unsigned char constants[2 * LARGE] = {
    [1] = 1, [LARGE - 5] = 2, [LARGE + PAGE + 7] = 3, [2 * LARGE - 1] = 4,
};

static void add_constants(void)
{
    unsigned sum = 0;
    for (size_t i = 0; i < sizeof constants; i++)
        sum += ((const volatile unsigned char *)constants)[i];
    must(sum == 1 + 2 + 3 + 4);
}

static void change_constants(void)
{
    volatile char *large = (char *)(((uintptr_t)constants + LARGE - 1) & -(uintptr_t)LARGE);
    handle(SIGSEGV, leave);
    add_constants();
    for (size_t page = 0; page < LARGE; page += 51 * PAGE) {
        volatile char *at = large + page;
        must(mprotect((char *)at, PAGE, PROT_NONE) == 0);
        caught = 0;
        if (!sigsetjmp(back, 1))
            (void)*at;
        must(caught == SIGSEGV);
        must(mprotect((char *)at, PAGE, PROT_READ | PROT_WRITE) == 0);
        *at ^= 85, *at ^= 85;
        must(mprotect((char *)at, PAGE, PROT_READ) == 0);
    }
    add_constants();
}

/* The channel does not wait by itself; the device never does. */
static void await(int stream)
{
    struct pollfd entry = { .fd = stream, .events = POLLIN };
    must(poll(&entry, 1, -1) == 1);
}

static void receive(int stream, void *into, size_t size)
{
    for (char *at = into; size;) {
        await(stream);
        ssize_t count = read(stream, at, size);
        must(count > 0);
        at += count, size -= (size_t)count;
    }
}

/* Passes a request for a sealing key to the TEE, and its answer back. */
static void get_key(void)
{
    uint32_t header[2] = { 3, 48 };
    char request[48], answer[32];
    receive(CHANNEL, request, sizeof request);
    must(write(DEVICE, header, sizeof header) == sizeof header);
    must(write(DEVICE, request, sizeof request) == sizeof request);
    receive(DEVICE, header, sizeof header);
    must(header[1] == 0 || header[1] == sizeof answer);
    receive(DEVICE, answer, header[1]);
    must(write(CHANNEL, header, sizeof header) == sizeof header);
    must(write(CHANNEL, answer, header[1]) == (ssize_t)header[1]);
}

int main(void)
{
    char command;
    while (await(CHANNEL), read(CHANNEL, &command, 1) == 1)
        switch (command) {
        case 't':
            receive(CHANNEL, &command, 1);
            use_threads((unsigned)command);
            break;
        case 'm':
            use_up();
            break;
        case 'g':
            give_back();
            break;
        case 'c':
            churn();
            unmap_what_others_see();
            break;
        case 'l':
            change_constants();
            break;
        case 'k':
            get_key();
            break;
        default:
            _exit(RIGHT);
        }
    _exit(1);
}
