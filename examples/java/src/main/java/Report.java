import java.io.ByteArrayOutputStream;
import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.zip.CRC32;

/** A report over orders: who ordered for how much. docs/languages.md says what it reads and writes. */
public final class Report {
    private Report() {}

    public static void main(String[] arguments) throws IOException {
        Wasi.exit(report(arguments));
    }

    private static int report(String[] arguments) throws IOException {
        long top = arguments.length == 1 ? number(arguments[0], 9) : -1;
        if (top < 0) {
            System.err.println("usage: report TOP");
            return 2;
        }
        Map<String, Long> prices;
        try (FileInputStream file = new FileInputStream("/data/prices.csv")) {
            prices = readPrices(text(readAll(file)));
        } catch (IOException error) {
            System.err.println("no prices");
            return 2;
        }

        byte[] input = readAll(System.in);
        Map<String, Long> totals = new TreeMap<>();
        int orders = 0;
        int rejected = 0;
        int place = 0;
        for (String line : split(text(input), '\n')) {
            place++;
            if (line.isEmpty()) {
                continue;
            }
            List<String> fields = split(line, ',');
            Long price = fields.size() == 3 && !fields.get(0).isEmpty() ? prices.get(fields.get(1)) : null;
            long quantity = price == null ? -1 : number(fields.get(2), 6);
            if (quantity < 0) {
                System.err.println("line " + place + ": rejected");
                rejected++;
                continue;
            }
            totals.merge(fields.get(0), price * quantity, Long::sum);
            orders++;
        }

        List<Map.Entry<String, Long>> customers = new ArrayList<>(totals.entrySet());
        customers.sort((left, right) -> Long.compare(right.getValue(), left.getValue()));
        StringBuilder out = new StringBuilder("orders " + orders + ", rejected " + rejected + "\n");
        long others = 0;
        long total = 0;
        for (int index = 0; index < customers.size(); index++) {
            Map.Entry<String, Long> customer = customers.get(index);
            total += customer.getValue();
            if (index < top) {
                show(out, customer.getKey(), customer.getValue());
            } else {
                others += customer.getValue();
            }
        }
        if (customers.size() > top) {
            show(out, "others", others);
        }
        show(out, "total", total);
        CRC32 checksum = new CRC32();
        checksum.update(input, 0, input.length);
        String digits = Long.toHexString(checksum.getValue() | 1L << 32).substring(1);
        System.out.print(out.append("crc32 ").append(digits).append("\n"));
        return rejected > 0 ? 3 : 0;
    }

    private static Map<String, Long> readPrices(String text) {
        Map<String, Long> prices = new HashMap<>();
        List<String> lines = split(text, '\n');
        for (String line : lines.subList(1, lines.size())) {
            List<String> fields = split(line, ',');
            if (fields.size() == 2) {
                prices.put(fields.get(0), number(fields.get(1), 9));
            }
        }
        return prices;
    }

    private static List<String> split(String text, char separator) {
        List<String> parts = new ArrayList<>();
        int start = 0;
        for (int end; (end = text.indexOf(separator, start)) >= 0; start = end + 1) {
            parts.add(text.substring(start, end));
        }
        parts.add(text.substring(start));
        return parts;
    }

    /** A number of 1 to {@code digits} decimal digits; -1 for anything else. */
    private static long number(String text, int digits) {
        if (text.isEmpty() || text.length() > digits) {
            return -1;
        }
        for (int index = 0; index < text.length(); index++) {
            if (text.charAt(index) < '0' || text.charAt(index) > '9') {
                return -1;
            }
        }
        return Long.parseLong(text);
    }

    private static void show(StringBuilder out, String name, long cents) {
        String currency = Wasi.environment("CURRENCY");
        out.append(name).append(' ').append(cents / 100).append('.').append(cents / 10 % 10).append(cents % 10);
        out.append(' ').append(currency == null ? "EUR" : currency).append('\n');
    }

    private static byte[] readAll(InputStream stream) throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        byte[] part = new byte[65536];
        for (int count; (count = stream.read(part)) > 0;) {
            bytes.write(part, 0, count);
        }
        return bytes.toByteArray();
    }

    private static String text(byte[] bytes) {
        return new String(bytes, StandardCharsets.UTF_8);
    }
}
