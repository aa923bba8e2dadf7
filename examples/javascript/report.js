// A report over orders: who ordered for how much. docs/languages.md says what it reads and writes.
import { getArguments, getEnvironment } from 'wasi:cli/environment@0.2.12';
import { getStderr } from 'wasi:cli/stderr@0.2.12';
import { getStdin } from 'wasi:cli/stdin@0.2.12';
import { getStdout } from 'wasi:cli/stdout@0.2.12';
import { getDirectories } from 'wasi:filesystem/preopens@0.2.12';

export const run = {
    run() {
        const [, top, ...rest] = getArguments();
        if (!isNumber(top ?? '', 9) || rest.length) fail('usage: report TOP');
        const prices = readPrices(readFile('data/prices.csv') ?? fail('no prices'));

        const input = readAll(getStdin());
        const totals = new Map();
        let orders = 0;
        const rejected = [];
        for (const [index, line] of decoded(input).split('\n').entries()) {
            if (!line) continue;
            const [customer, item, quantity, ...rest] = line.split(',');
            if (customer && prices.has(item) && isNumber(quantity ?? '', 6) && !rest.length) {
                totals.set(customer, (totals.get(customer) ?? 0) + prices.get(item) * Number(quantity));
                orders++;
            } else {
                rejected.push(index + 1);
            }
        }
        write(getStderr(), rejected.map((place) => `line ${place}: rejected\n`).join(''));

        const customers = [...totals].sort(([one, cents], [other, more]) => more - cents || (one < other ? -1 : 1));
        const others = customers.slice(Number(top));
        const lines = [
            `orders ${orders}, rejected ${rejected.length}`,
            ...customers.slice(0, Number(top)).map(amount),
            ...(others.length ? [amount(['others', sum(others)])] : []),
            amount(['total', sum(customers)]),
            `crc32 ${crc32(input).toString(16).padStart(8, '0')}`,
        ];
        write(getStdout(), lines.join('\n') + '\n');
        // A component's command ends well or not, and has no other status.
        if (rejected.length) throw undefined;
    },
};

function readPrices(bytes) {
    const rows = decoded(bytes).trim().split('\n').slice(1);
    return new Map(rows.map((row) => row.split(',')).map(([item, price]) => [item, Number(price)]));
}

function isNumber(text, digits) {
    return /^[0-9]+$/.test(text) && text.length <= digits;
}

function sum(customers) {
    return customers.reduce((total, [, cents]) => total + cents, 0);
}

function amount([name, cents]) {
    const currency = new Map(getEnvironment()).get('CURRENCY') ?? 'EUR';
    return `${name} ${Math.floor(cents / 100)}.${String(cents % 100).padStart(2, '0')} ${currency}`;
}

function crc32(bytes) {
    let crc = ~0;
    for (const byte of bytes) {
        crc ^= byte;
        for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 && 0xedb88320);
    }
    return ~crc >>> 0;
}

function readFile(path) {
    const [[root]] = getDirectories();
    try {
        return readAll(root.openAt({}, path, {}, { read: true }).readViaStream(0));
    } catch {
        return undefined;
    }
}

function readAll(stream) {
    const parts = [];
    try {
        for (;;) parts.push(stream.blockingRead(65536));
    } catch (error) {
        if (error.payload?.tag !== 'closed') throw error;
    }
    const whole = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
    parts.reduce((end, part) => (whole.set(part, end), end + part.length), 0);
    return whole;
}

function write(stream, text) {
    const bytes = Uint8Array.from(unescape(encodeURIComponent(text)), (character) => character.charCodeAt(0));
    for (let start = 0; start < bytes.length; start += 4096) stream.blockingWriteAndFlush(bytes.slice(start, start + 4096));
}

// The engine has no TextDecoder and no TextEncoder.
function decoded(bytes) {
    const digits = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0'));
    return decodeURIComponent(digits.map((pair) => `%${pair}`).join(''));
}

function fail(reason) {
    write(getStderr(), `${reason}\n`);
    throw undefined;
}
