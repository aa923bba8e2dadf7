"""A report over orders: who ordered for how much. docs/languages.md says what it reads and writes."""

import os
import re
import sys
import zlib
from collections import Counter


def main() -> int:
    if len(sys.argv) != 2 or not is_number(sys.argv[1], 9):
        return fail("usage: report TOP")
    top = int(sys.argv[1])
    try:
        prices = read_prices("/data/prices.csv")
    except OSError:
        return fail("no prices")

    text = sys.stdin.buffer.read()
    totals: Counter[str] = Counter()
    orders = rejected = 0
    for place, line in enumerate(text.decode().split("\n"), 1):
        if not line:
            continue
        fields = line.split(",")
        if len(fields) == 3 and fields[0] and fields[1] in prices and is_number(fields[2], 6):
            totals[fields[0]] += prices[fields[1]] * int(fields[2])
            orders += 1
        else:
            print(f"line {place}: rejected", file=sys.stderr)
            rejected += 1

    customers = sorted(totals.items(), key=lambda customer: (-customer[1], customer[0]))
    print(f"orders {orders}, rejected {rejected}")
    for name, cents in customers[:top]:
        show(name, cents)
    if len(customers) > top:
        show("others", sum(cents for _, cents in customers[top:]))
    show("total", totals.total())
    print(f"crc32 {zlib.crc32(text):08x}")
    return 3 if rejected else 0


def read_prices(path: str) -> dict[str, int]:
    with open(path, encoding="utf-8") as file:
        rows = [line.rstrip("\n").split(",") for line in file][1:]
    return {item: int(price) for item, price in rows}


def is_number(text: str, digits: int) -> bool:
    return re.fullmatch(f"[0-9]{{1,{digits}}}", text) is not None


def show(name: str, cents: int) -> None:
    print(f"{name} {cents // 100}.{cents % 100:02} {os.environ.get('CURRENCY', 'EUR')}")


def fail(reason: str) -> int:
    print(reason, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
