// A report over orders: who ordered for how much. ../../docs/languages.md says what it reads and writes.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    char *name;
    uint64_t cents;
} Entry;

typedef struct {
    Entry *entries;
    size_t count, capacity;
} Table;

static void fail(const char *reason) {
    fprintf(stderr, "%s\n", reason);
    exit(2);
}

static void *resized(void *memory, size_t size) {
    memory = realloc(memory, size);
    if (!memory) fail("out of memory");
    return memory;
}

static char *copied(const char *text) {
    size_t size = strlen(text) + 1;
    return memcpy(resized(NULL, size), text, size);
}

static Entry *find(const Table *table, const char *name) {
    for (size_t index = 0; index < table->count; index++)
        if (!strcmp(table->entries[index].name, name)) return &table->entries[index];
    return NULL;
}

static Entry *find_or_add(Table *table, const char *name) {
    Entry *found = find(table, name);
    if (found) return found;
    if (table->count == table->capacity) {
        table->capacity = table->capacity ? 2 * table->capacity : 16;
        table->entries = resized(table->entries, table->capacity * sizeof(Entry));
    }
    table->entries[table->count] = (Entry){copied(name), 0};
    return &table->entries[table->count++];
}

// A number of 1 to `digits` decimal digits; -1 for anything else.
static int64_t number(const char *text, size_t digits) {
    size_t length = strlen(text);
    if (length == 0 || length > digits || strspn(text, "0123456789") != length) return -1;
    return strtoll(text, NULL, 10);
}

static char *read_all(FILE *file, size_t *length) {
    char *text = NULL;
    size_t capacity = 0, count;
    *length = 0;
    do {
        capacity = capacity ? 2 * capacity : 65536;
        text = resized(text, capacity);
        count = fread(text + *length, 1, capacity - *length - 1, file);
        *length += count;
    } while (count);
    text[*length] = 0;
    return text;
}

// The next line of a text that is cut up for it; NULL at its end.
static char *next_line(char **rest) {
    char *line = *rest;
    if (!*line) return NULL;
    char *end = strchr(line, '\n');
    *rest = end ? end + 1 : line + strlen(line);
    if (end) *end = 0;
    return line;
}

// Cuts a line at its commas; gives how many fields there are, at most one more than `limit`.
static size_t split(char *line, char **fields, size_t limit) {
    size_t count = 0;
    for (char *field = line; field; count++) {
        if (count == limit) return limit + 1;
        fields[count] = field;
        field = strchr(field, ',');
        if (field) *field++ = 0;
    }
    return count;
}

static Table read_prices(const char *path) {
    FILE *file = fopen(path, "r");
    if (!file) fail("no prices");
    size_t length;
    char *rest = read_all(file, &length), *line, *fields[2];
    fclose(file);
    Table prices = {0};
    next_line(&rest);
    while ((line = next_line(&rest)))
        if (split(line, fields, 2) == 2) find_or_add(&prices, fields[0])->cents = number(fields[1], 9);
    return prices;
}

static uint32_t crc32(const char *text, size_t length) {
    uint32_t crc = ~0u;
    for (size_t index = 0; index < length; index++) {
        crc ^= (unsigned char)text[index];
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
    }
    return ~crc;
}

static int more_first(const void *one, const void *other) {
    const Entry *left = one, *right = other;
    if (left->cents != right->cents) return left->cents > right->cents ? -1 : 1;
    return strcmp(left->name, right->name);
}

static void print(const char *name, uint64_t cents) {
    const char *currency = getenv("CURRENCY");
    printf("%s %" PRIu64 ".%02" PRIu64 " %s\n", name, cents / 100, cents % 100, currency ? currency : "EUR");
}

int main(int count, char **arguments) {
    int64_t top = count == 2 ? number(arguments[1], 9) : -1;
    if (top < 0) fail("usage: report TOP");
    Table prices = read_prices("/data/prices.csv");

    size_t length;
    char *rest = read_all(stdin, &length), *line, *fields[3];
    uint32_t checksum = crc32(rest, length);
    Table customers = {0};
    uint64_t orders = 0, rejected = 0, total = 0;
    for (size_t place = 1; (line = next_line(&rest)); place++) {
        if (!*line) continue;
        size_t parts = split(line, fields, 3);
        Entry *price = parts == 3 ? find(&prices, fields[1]) : NULL;
        int64_t quantity = parts == 3 ? number(fields[2], 6) : -1;
        if (!price || quantity < 0 || !*fields[0]) {
            fprintf(stderr, "line %zu: rejected\n", place);
            rejected++;
            continue;
        }
        find_or_add(&customers, fields[0])->cents += price->cents * quantity;
        total += price->cents * quantity;
        orders++;
    }

    if (customers.count) qsort(customers.entries, customers.count, sizeof(Entry), more_first);
    printf("orders %" PRIu64 ", rejected %" PRIu64 "\n", orders, rejected);
    uint64_t others = 0;
    for (size_t index = 0; index < customers.count; index++) {
        Entry *customer = &customers.entries[index];
        if (index < (size_t)top) print(customer->name, customer->cents);
        else others += customer->cents;
    }
    if (customers.count > (size_t)top) print("others", others);
    print("total", total);
    printf("crc32 %08" PRIx32 "\n", checksum);
    return rejected ? 3 : 0;
}
