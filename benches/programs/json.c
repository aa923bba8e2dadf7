/* A JSON parser (RFC 8259) over a generated document: branches, bytes, recursion. */
#include "program.h"

enum { DOCUMENT = 4 << 20, MARGIN = 4096, PASSES = 24 };

static char document[DOCUMENT];
static const char *at, *limit;
static uint64_t checksum;

static inline void mix(uint64_t value) { checksum = (checksum ^ value) * 0x100000001b3u; }

static void parse_value(int depth);

static void fail(void) { __builtin_trap(); }

static inline void skip_space(void)
{
    while (at < limit && (*at == ' ' || *at == '\n' || *at == '\t' || *at == '\r'))
        at++;
}

static inline void expect(char wanted)
{
    skip_space();
    if (at == limit || *at++ != wanted)
        fail();
}

static int hexadecimal(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if (digit >= 'a' && digit <= 'f')
        return digit - 'a' + 10;
    if (digit >= 'A' && digit <= 'F')
        return digit - 'A' + 10;
    fail();
    return 0;
}

static uint32_t parse_escape(void)
{
    if (at == limit)
        fail();
    char kind = *at++;
    switch (kind) {
    case '"': case '\\': case '/': return (uint32_t)kind;
    case 'b': return '\b';
    case 'f': return '\f';
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    case 'u': break;
    default: fail();
    }
    uint32_t unit = 0;
    if (limit - at < 4)
        fail();
    for (int i = 0; i < 4; i++)
        unit = unit << 4 | (uint32_t)hexadecimal(*at++);
    return unit;
}

static void parse_string(void)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (;;) {
        if (at == limit)
            fail();
        uint8_t byte = (uint8_t)*at++;
        if (byte == '"')
            break;
        uint32_t unit = byte;
        if (byte == '\\')
            unit = parse_escape();
        else if (byte < ' ')
            fail();
        hash = (hash ^ unit) * 0x100000001b3u;
    }
    mix(hash);
}

static void parse_number(void)
{
    double value = 0, scale = 1;
    int negative = *at == '-';
    at += negative;
    const char *first = at;
    while (at < limit && *at >= '0' && *at <= '9')
        value = value * 10 + (*at++ - '0');
    if (at == first)
        fail();
    if (at < limit && *at == '.')
        for (at++; at < limit && *at >= '0' && *at <= '9'; scale *= 10)
            value = value * 10 + (*at++ - '0');
    if (at < limit && (*at == 'e' || *at == 'E')) {
        at++;
        int down = at < limit && *at == '-', exponent = 0;
        at += at < limit && (*at == '-' || *at == '+');
        while (at < limit && *at >= '0' && *at <= '9' && exponent < 300)
            exponent = exponent * 10 + (*at++ - '0');
        while (exponent-- > 0)
            if (down)
                scale *= 10;
            else
                value *= 10;
    }
    value /= scale;
    if (negative)
        value = -value;
    union { double number; uint64_t bits; } view = {value};
    mix(view.bits);
}

static void parse_word(const char *word)
{
    for (; *word; word++)
        if (at == limit || *at++ != *word)
            fail();
    mix((uint64_t)word[-1]);
}

static void parse_members(int depth, char close, int named)
{
    uint64_t count = 0;
    skip_space();
    if (at < limit && *at == close) {
        at++;
        mix(0);
        return;
    }
    for (;;) {
        if (named) {
            expect('"');
            parse_string();
            expect(':');
        }
        parse_value(depth + 1);
        count++;
        skip_space();
        if (at == limit)
            fail();
        char next = *at++;
        if (next == close)
            break;
        if (next != ',')
            fail();
    }
    mix(count);
}

static void parse_value(int depth)
{
    skip_space();
    if (at == limit || depth > 64)
        fail();
    switch (*at) {
    case '{': at++; parse_members(depth, '}', 1); break;
    case '[': at++; parse_members(depth, ']', 0); break;
    case '"': at++; parse_string(); break;
    case 't': parse_word("true"); break;
    case 'f': parse_word("false"); break;
    case 'n': parse_word("null"); break;
    default: parse_number();
    }
}

static char *put(char *to, const char *text)
{
    while (*text)
        *to++ = *text++;
    return to;
}

/* A string of letters, with an escape now and then. */
static char *put_string(char *to, unsigned length)
{
    *to++ = '"';
    while (length-- > 0) {
        uint64_t bits = random_bits();
        if (bits % 37 == 0)
            to = put(to, bits & 64 ? "\\n" : "\\u00e9");
        else
            *to++ = (char)('a' + (bits >> 8) % 26);
    }
    *to++ = '"';
    return to;
}

static char *put_record(char *to)
{
    to = put(to, "{\n  \"id\": ");
    to = decimal(to, random_bits() >> 34);
    to = put(to, ",\n  \"name\": ");
    to = put_string(to, 8 + random_bits() % 24);
    to = put(to, ",\n  \"balance\": ");
    to = put(to, random_bits() & 1 ? "-" : "");
    to = decimal(to, random_bits() % 1000000);
    *to++ = '.';
    to = decimal(to, random_bits() % 10000);
    to = put(to, random_bits() & 3 ? "" : "e-3");
    to = put(to, ",\n  \"active\": ");
    to = put(to, random_bits() & 1 ? "true" : "false");
    to = put(to, ",\n  \"note\": ");
    to = random_bits() & 1 ? put_string(to, random_bits() % 120) : put(to, "null");
    to = put(to, ",\n  \"scores\": [");
    for (unsigned i = 0, count = 1 + random_bits() % 12; i < count; i++) {
        to = put(to, i ? ", " : "");
        to = decimal(to, random_bits() % 5000);
    }
    return put(to, "],\n  \"place\": {\"x\": 0.25, \"y\": -17, \"tags\": []}\n}");
}

static void prepare(void)
{
    char *to = document, *end = document + DOCUMENT - MARGIN;
    for (*to++ = '['; to < end; to = put(to, ",\n"))
        to = put_record(to);
    to = put(to, "null]");
    limit = to;
}

static uint64_t work(void)
{
    for (int pass = 0; pass < PASSES; pass++) {
        at = document;
        parse_value(0);
        skip_space();
        if (at != limit)
            fail();
    }
    return checksum;
}
