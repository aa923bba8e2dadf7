// A report over orders: who ordered for how much. ../../docs/languages.md says what it reads and writes.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using Cents = std::uint64_t;
using Table = std::map<std::string, Cents, std::less<>>;

[[noreturn]] void fail(const char *reason) {
    std::fprintf(stderr, "%s\n", reason);
    std::exit(2);
}

std::vector<std::string_view> split(std::string_view text, char separator) {
    std::vector<std::string_view> parts;
    for (;;) {
        auto end = text.find(separator);
        parts.push_back(text.substr(0, end));
        if (end == std::string_view::npos) return parts;
        text.remove_prefix(end + 1);
    }
}

// A number of 1 to `digits` decimal digits.
std::optional<Cents> number(std::string_view text, std::size_t digits) {
    if (text.empty() || text.size() > digits) return std::nullopt;
    Cents value = 0;
    for (char digit : text) {
        if (digit < '0' || digit > '9') return std::nullopt;
        value = 10 * value + static_cast<Cents>(digit - '0');
    }
    return value;
}

std::string read_all(std::FILE *file) {
    std::string text;
    std::vector<char> part(65536);
    while (auto count = std::fread(part.data(), 1, part.size(), file)) text.append(part.data(), count);
    return text;
}

Table read_prices(const char *path) {
    std::FILE *file = std::fopen(path, "r");
    if (!file) fail("no prices");
    auto text = read_all(file);
    std::fclose(file);
    Table prices;
    auto lines = split(text, '\n');
    for (auto line = lines.begin() + 1; line < lines.end(); ++line) {
        auto fields = split(*line, ',');
        if (fields.size() == 2) prices[std::string(fields[0])] = number(fields[1], 9).value_or(0);
    }
    return prices;
}

std::uint32_t crc32(std::string_view text) {
    std::uint32_t crc = ~0u;
    for (unsigned char byte : text) {
        crc ^= byte;
        for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
    }
    return ~crc;
}

// What one order costs; nothing if it is none.
std::optional<Cents> cost(const std::vector<std::string_view> &fields, const Table &prices) {
    if (fields.size() != 3 || fields[0].empty()) return std::nullopt;
    auto price = prices.find(fields[1]);
    auto quantity = number(fields[2], 6);
    if (price == prices.end() || !quantity) return std::nullopt;
    return price->second * *quantity;
}

void print(std::string_view name, Cents cents) {
    const char *currency = std::getenv("CURRENCY");
    std::printf("%.*s %llu.%02llu %s\n", static_cast<int>(name.size()), name.data(),
                static_cast<unsigned long long>(cents / 100), static_cast<unsigned long long>(cents % 100),
                currency ? currency : "EUR");
}

}  // namespace

int main(int count, char **arguments) {
    auto top = count == 2 ? number(arguments[1], 9) : std::nullopt;
    if (!top) fail("usage: report TOP");
    auto prices = read_prices("/data/prices.csv");

    auto text = read_all(stdin);
    Table totals;
    std::size_t orders = 0, rejected = 0, place = 0;
    for (auto line : split(text, '\n')) {
        ++place;
        if (line.empty()) continue;
        auto fields = split(line, ',');
        if (auto cents = cost(fields, prices)) {
            totals[std::string(fields[0])] += *cents;
            ++orders;
        } else {
            std::fprintf(stderr, "line %zu: rejected\n", place);
            ++rejected;
        }
    }

    std::vector<std::pair<std::string, Cents>> customers(totals.begin(), totals.end());
    std::stable_sort(customers.begin(), customers.end(),
                     [](const auto &left, const auto &right) { return left.second > right.second; });
    std::printf("orders %zu, rejected %zu\n", orders, rejected);
    Cents others = 0, total = 0;
    for (std::size_t index = 0; index < customers.size(); ++index) {
        const auto &[name, cents] = customers[index];
        if (index < *top) print(name, cents);
        else others += cents;
        total += cents;
    }
    if (customers.size() > *top) print("others", others);
    print("total", total);
    std::printf("crc32 %08x\n", static_cast<unsigned>(crc32(text)));
    return rejected ? 3 : 0;
}
