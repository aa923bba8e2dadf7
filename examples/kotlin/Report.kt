/** A report over orders: who ordered for how much. docs/languages.md says what it reads and writes. */
fun main() {
    val arguments = arguments()
    val top = arguments.getOrNull(1)?.takeIf { arguments.size == 2 }?.let { number(it, 9) }
        ?: fail("usage: report TOP")
    val prices = readPrices(readFile("data/prices.csv")?.decodeToString() ?: fail("no prices"))

    val input = readInput()
    val totals = mutableMapOf<String, Long>()
    var orders = 0
    val rejected = mutableListOf<Int>()
    input.decodeToString().split('\n').forEachIndexed { index, line ->
        if (line.isNotEmpty()) {
            val order = order(line, prices)
            if (order == null) {
                rejected += index + 1
            } else {
                val (customer, cents) = order
                totals[customer] = totals.getOrElse(customer) { 0 } + cents
                orders++
            }
        }
    }
    complain(rejected.joinToString("") { "line $it: rejected\n" })

    val customers = totals.toList().sortedWith(compareBy({ -it.second }, { it.first }))
    val out = StringBuilder("orders $orders, rejected ${rejected.size}\n")
    customers.take(top.toInt()).forEach { (name, cents) -> out.show(name, cents) }
    if (customers.size > top) out.show("others", customers.drop(top.toInt()).sumOf { it.second })
    out.show("total", totals.values.sum())
    print("${out}crc32 ${crc32(input).toString(16).padStart(8, '0')}\n")
    exit(if (rejected.isEmpty()) 0 else 3)
}

/** Who ordered, and for how much. */
private fun order(line: String, prices: Map<String, Long>): Pair<String, Long>? {
    val fields = line.split(',')
    if (fields.size != 3 || fields[0].isEmpty()) return null
    val price = prices[fields[1]] ?: return null
    val quantity = number(fields[2], 6) ?: return null
    return fields[0] to price * quantity
}

private fun readPrices(text: String): Map<String, Long> =
    text.lines().drop(1).map { it.split(',') }.filter { it.size == 2 }
        .associate { (item, price) -> item to (number(price, 9) ?: 0) }

/** A number of 1 to [digits] decimal digits. */
private fun number(text: String, digits: Int): Long? =
    text.takeIf { it.length <= digits && it.all { digit -> digit in '0'..'9' } }?.toLongOrNull()

private fun crc32(bytes: ByteArray): UInt = bytes.fold(UInt.MAX_VALUE) { crc, byte ->
    (1..8).fold(crc xor byte.toUByte().toUInt()) { value, _ ->
        (value shr 1) xor (if (value and 1u == 0u) 0u else 0xedb88320u)
    }
}.inv()

private fun StringBuilder.show(name: String, cents: Long) {
    val currency = environment("CURRENCY") ?: "EUR"
    append("$name ${cents / 100}.${(cents % 100).toString().padStart(2, '0')} $currency\n")
}

private fun fail(reason: String): Nothing {
    complain("$reason\n")
    exit(2)
}
