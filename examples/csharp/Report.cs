// A report over orders: who ordered for how much. ../../docs/languages.md says what it reads and writes.
using System.Text;

return Report.Run(args);

internal static class Report
{
    public static int Run(string[] arguments)
    {
        if (arguments.Length != 1 || Number(arguments[0], 9) is not { } top)
        {
            return Fail("usage: report TOP");
        }
        Dictionary<string, long> prices;
        try
        {
            prices = ReadPrices("/data/prices.csv");
        }
        catch (IOException)
        {
            return Fail("no prices");
        }

        var input = ReadAll(Console.OpenStandardInput());
        var totals = new Dictionary<string, long>();
        int orders = 0, rejected = 0, place = 0;
        foreach (var line in Encoding.UTF8.GetString(input).Split('\n'))
        {
            place++;
            if (line.Length == 0)
            {
                continue;
            }
            var fields = line.Split(',');
            if (fields.Length == 3 && fields[0] != "" && prices.TryGetValue(fields[1], out var price)
                && Number(fields[2], 6) is { } quantity)
            {
                totals[fields[0]] = totals.GetValueOrDefault(fields[0]) + price * quantity;
                orders++;
            }
            else
            {
                Console.Error.Write($"line {place}: rejected\n");
                rejected++;
            }
        }

        var customers = totals.OrderByDescending(customer => customer.Value)
            .ThenBy(customer => customer.Key, StringComparer.Ordinal).ToList();
        var output = new StringBuilder($"orders {orders}, rejected {rejected}\n");
        foreach (var customer in customers.Take((int)top))
        {
            Show(output, customer.Key, customer.Value);
        }
        if (customers.Count > top)
        {
            Show(output, "others", customers.Skip((int)top).Sum(customer => customer.Value));
        }
        Show(output, "total", totals.Values.Sum());
        Console.Out.Write(output.Append($"crc32 {Crc32(input):x8}\n"));
        Console.Out.Flush();
        return rejected > 0 ? 3 : 0;
    }

    private static Dictionary<string, long> ReadPrices(string path) =>
        File.ReadAllText(path).Split('\n').Skip(1).Select(line => line.Split(','))
            .Where(fields => fields.Length == 2)
            .ToDictionary(fields => fields[0], fields => Number(fields[1], 9) ?? 0);

    private static byte[] ReadAll(Stream stream)
    {
        using var bytes = new MemoryStream();
        stream.CopyTo(bytes);
        return bytes.ToArray();
    }

    /// <summary>A number of 1 to <paramref name="digits"/> decimal digits.</summary>
    private static long? Number(string text, int digits) =>
        text.Length >= 1 && text.Length <= digits && text.All(char.IsAsciiDigit) ? long.Parse(text) : null;

    private static uint Crc32(byte[] bytes)
    {
        var crc = uint.MaxValue;
        foreach (var value in bytes)
        {
            crc ^= value;
            for (var bit = 0; bit < 8; bit++)
            {
                crc = crc >> 1 ^ ((crc & 1) == 0 ? 0 : 0xedb88320);
            }
        }
        return ~crc;
    }

    private static void Show(StringBuilder output, string name, long cents)
    {
        var currency = Environment.GetEnvironmentVariable("CURRENCY") ?? "EUR";
        output.Append($"{name} {cents / 100}.{cents % 100:00} {currency}\n");
    }

    private static int Fail(string reason)
    {
        Console.Error.Write(reason + "\n");
        return 2;
    }
}
