// A report over orders: who ordered for how much. ../../docs/languages.md says what it reads and writes.
package main

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
)

type customer struct {
	name  string
	cents uint64
}

func main() {
	if len(os.Args) != 2 {
		fail("usage: report TOP")
	}
	top, err := number(os.Args[1], 9)
	if err != nil {
		fail("usage: report TOP")
	}
	prices, err := readPrices("/data/prices.csv")
	if err != nil {
		fail("no prices")
	}
	text, err := io.ReadAll(os.Stdin)
	if err != nil {
		fail(err.Error())
	}

	totals := map[string]uint64{}
	var orders, rejected int
	for place, line := range strings.Split(string(text), "\n") {
		if line == "" {
			continue
		}
		name, cents, err := order(line, prices)
		if err != nil {
			fmt.Fprintf(os.Stderr, "line %d: rejected\n", place+1)
			rejected++
			continue
		}
		totals[name] += cents
		orders++
	}

	var customers []customer
	var total, others uint64
	for name, cents := range totals {
		customers = append(customers, customer{name, cents})
		total += cents
	}
	slices.SortFunc(customers, func(left, right customer) int {
		return cmp.Or(cmp.Compare(right.cents, left.cents), cmp.Compare(left.name, right.name))
	})
	out := bufio.NewWriter(os.Stdout)
	fmt.Fprintf(out, "orders %d, rejected %d\n", orders, rejected)
	for index, customer := range customers {
		if uint64(index) < top {
			show(out, customer.name, customer.cents)
		} else {
			others += customer.cents
		}
	}
	if uint64(len(customers)) > top {
		show(out, "others", others)
	}
	show(out, "total", total)
	fmt.Fprintf(out, "crc32 %08x\n", crc32.ChecksumIEEE(text))
	out.Flush()
	if rejected > 0 {
		os.Exit(3)
	}
}

// order gives who ordered, and for how much.
func order(line string, prices map[string]uint64) (string, uint64, error) {
	fields := strings.Split(line, ",")
	if len(fields) != 3 || fields[0] == "" {
		return "", 0, errors.New("not three fields")
	}
	price, known := prices[fields[1]]
	if !known {
		return "", 0, errors.New("an unknown item")
	}
	quantity, err := number(fields[2], 6)
	return fields[0], price * quantity, err
}

func readPrices(path string) (map[string]uint64, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	prices := map[string]uint64{}
	for _, line := range strings.Split(string(text), "\n")[1:] {
		if item, price, found := strings.Cut(line, ","); found {
			if prices[item], err = number(price, 9); err != nil {
				return nil, err
			}
		}
	}
	return prices, nil
}

// number reads 1 to digits decimal digits, and nothing else.
func number(text string, digits int) (uint64, error) {
	if len(text) > digits || strings.Trim(text, "0123456789") != "" {
		return 0, errors.New("not a number")
	}
	return strconv.ParseUint(text, 10, 64)
}

func show(out io.Writer, name string, cents uint64) {
	currency, found := os.LookupEnv("CURRENCY")
	if !found {
		currency = "EUR"
	}
	fmt.Fprintf(out, "%s %d.%02d %s\n", name, cents/100, cents%100, currency)
}

func fail(reason string) {
	fmt.Fprintln(os.Stderr, reason)
	os.Exit(2)
}
