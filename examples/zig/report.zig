//! A report over orders: who ordered for how much. ../../docs/languages.md says what it reads and writes.

const std = @import("std");
const Io = std.Io;

const Table = std.StringArrayHashMapUnmanaged(u64);
const Order = struct { customer: []const u8, cents: u64 };

pub fn main(init: std.process.Init) !u8 {
    const allocator = init.arena.allocator();
    var buffer: [4096]u8 = undefined;
    var stderr = Io.File.stderr().writerStreaming(init.io, &buffer);
    const status = report(init, allocator, &stderr.interface) catch |err| switch (err) {
        error.Usage => failed(&stderr.interface, "usage: report TOP"),
        error.NoPrices => failed(&stderr.interface, "no prices"),
        else => return err,
    };
    try stderr.interface.flush();
    return status;
}

fn report(init: std.process.Init, allocator: std.mem.Allocator, complaints: *Io.Writer) !u8 {
    const arguments = try init.minimal.args.toSlice(allocator);
    if (arguments.len != 2) return error.Usage;
    const top = number(arguments[1], 9) orelse return error.Usage;
    // The working directory is the root.
    const file = Io.Dir.cwd().readFileAlloc(init.io, "data/prices.csv", allocator, .unlimited);
    const prices = try readPrices(allocator, file catch return error.NoPrices);

    var stdin = Io.File.stdin().readerStreaming(init.io, &.{});
    const text = try stdin.interface.allocRemaining(allocator, .unlimited);
    var totals: Table = .empty;
    var orders: usize = 0;
    var rejected: usize = 0;
    var total: u64 = 0;
    var lines = std.mem.splitScalar(u8, text, '\n');
    var place: usize = 1;
    while (lines.next()) |line| : (place += 1) {
        if (line.len == 0) continue;
        if (parse(line, prices)) |order| {
            const entry = try totals.getOrPutValue(allocator, order.customer, 0);
            entry.value_ptr.* += order.cents;
            total += order.cents;
            orders += 1;
        } else {
            try complaints.print("line {d}: rejected\n", .{place});
            rejected += 1;
        }
    }

    totals.sort(MoreFirst{ .names = totals.keys(), .cents = totals.values() });
    var buffer: [4096]u8 = undefined;
    var stdout = Io.File.stdout().writerStreaming(init.io, &buffer);
    const out = &stdout.interface;
    const currency = init.environ_map.get("CURRENCY") orelse "EUR";
    try out.print("orders {d}, rejected {d}\n", .{ orders, rejected });
    var others: u64 = 0;
    for (totals.keys(), totals.values(), 0..) |name, cents, index| {
        if (index < top) try show(out, name, cents, currency) else others += cents;
    }
    if (totals.count() > top) try show(out, "others", others, currency);
    try show(out, "total", total, currency);
    try out.print("crc32 {x:0>8}\n", .{std.hash.Crc32.hash(text)});
    try out.flush();
    return if (rejected > 0) 3 else 0;
}

const MoreFirst = struct {
    names: []const []const u8,
    cents: []const u64,

    pub fn lessThan(self: MoreFirst, left: usize, right: usize) bool {
        if (self.cents[left] != self.cents[right]) return self.cents[left] > self.cents[right];
        return std.mem.lessThan(u8, self.names[left], self.names[right]);
    }
};

/// Who ordered, and for how much.
fn parse(line: []const u8, prices: Table) ?Order {
    var fields = std.mem.splitScalar(u8, line, ',');
    const customer = fields.first();
    const price = prices.get(fields.next() orelse return null) orelse return null;
    const quantity = number(fields.next() orelse return null, 6) orelse return null;
    if (customer.len == 0 or fields.next() != null) return null;
    return .{ .customer = customer, .cents = price * quantity };
}

fn readPrices(allocator: std.mem.Allocator, text: []const u8) !Table {
    var prices: Table = .empty;
    var lines = std.mem.splitScalar(u8, text, '\n');
    _ = lines.first();
    while (lines.next()) |line| {
        const comma = std.mem.indexOfScalar(u8, line, ',') orelse continue;
        try prices.put(allocator, line[0..comma], number(line[comma + 1 ..], 9) orelse return error.NoPrices);
    }
    return prices;
}

/// A number of 1 to `digits` decimal digits.
fn number(text: []const u8, digits: usize) ?u64 {
    if (text.len > digits) return null;
    for (text) |character| if (!std.ascii.isDigit(character)) return null;
    return std.fmt.parseInt(u64, text, 10) catch null;
}

fn show(out: *Io.Writer, name: []const u8, cents: u64, currency: []const u8) !void {
    try out.print("{s} {d}.{d:0>2} {s}\n", .{ name, cents / 100, cents % 100, currency });
}

fn failed(complaints: *Io.Writer, reason: []const u8) u8 {
    complaints.print("{s}\n", .{reason}) catch {};
    return 2;
}
