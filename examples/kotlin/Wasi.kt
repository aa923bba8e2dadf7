@file:OptIn(ExperimentalWasmInterop::class, UnsafeWasmMemoryApi::class)

import kotlin.wasm.ExperimentalWasmInterop
import kotlin.wasm.WasmImport
import kotlin.wasm.unsafe.MemoryAllocator
import kotlin.wasm.unsafe.Pointer
import kotlin.wasm.unsafe.UnsafeWasmMemoryApi
import kotlin.wasm.unsafe.withScopedMemoryAllocator

// What Kotlin's library has no function for, by WASI preview 1 itself.

/** The arguments, the program's own name first. */
fun arguments(): List<String> = strings(::args_sizes_get, ::args_get)

/** The environment's variable of this name. */
fun environment(name: String): String? =
    strings(::environ_sizes_get, ::environ_get).firstOrNull { it.startsWith("$name=") }?.substringAfter('=')

/** All that standard input has. */
fun readInput(): ByteArray = readAll(descriptor = 0)

/** All that a file below the root holds; null if it cannot be opened. */
fun readFile(path: String): ByteArray? = withScopedMemoryAllocator { memory ->
    val name = path.encodeToByteArray()
    val address = memory.allocate(name.size)
    name.forEachIndexed { index, byte -> (address + index).storeByte(byte) }
    val opened = memory.allocate(4)
    val rightToRead = 1L shl 1
    val status = path_open(ROOT, 0, address.int, name.size, 0, rightToRead, 0, 0, opened.int)
    if (status == 0) readAll(opened.loadInt()) else null
}

/** Writes to standard error. */
fun complain(text: String) = write(descriptor = 2, text)

/** Writes to standard output. */
fun print(text: String) = write(descriptor = 1, text)

/** Ends the program. */
fun exit(status: Int): Nothing {
    proc_exit(status)
    throw IllegalStateException("unreachable")
}

/** The first descriptor behind the standard streams: the root directory. */
private const val ROOT = 3

private fun strings(sizes: (Int, Int) -> Int, get: (Int, Int) -> Int): List<String> =
    withScopedMemoryAllocator { memory ->
        val count = memory.allocate(4)
        val size = memory.allocate(4)
        check(sizes(count.int, size.int) == 0)
        val pointers = memory.allocate(4 * count.loadInt())
        val bytes = memory.allocate(size.loadInt())
        check(get(pointers.int, bytes.int) == 0)
        List(count.loadInt()) { index ->
            val start = Pointer((pointers + 4 * index).loadInt().toUInt())
            val length = generateSequence(0) { it + 1 }.first { (start + it).loadByte() == 0.toByte() }
            ByteArray(length) { (start + it).loadByte() }.decodeToString()
        }
    }

private fun readAll(descriptor: Int): ByteArray = withScopedMemoryAllocator { memory ->
    val capacity = 65536
    val buffer = memory.allocate(capacity)
    val count = memory.allocate(4)
    val vector = vector(memory, buffer, capacity)
    val parts = mutableListOf<ByteArray>()
    do {
        check(fd_read(descriptor, vector.int, 1, count.int) == 0)
        parts += ByteArray(count.loadInt()) { (buffer + it).loadByte() }
    } while (count.loadInt() > 0)
    val whole = ByteArray(parts.sumOf { it.size })
    parts.fold(0) { end, part -> part.copyInto(whole, end); end + part.size }
    whole
}

private fun write(descriptor: Int, text: String) {
    val bytes = text.encodeToByteArray()
    withScopedMemoryAllocator { memory ->
        val buffer = memory.allocate(bytes.size)
        bytes.forEachIndexed { index, byte -> (buffer + index).storeByte(byte) }
        val count = memory.allocate(4)
        var written = 0
        while (written < bytes.size) {
            val vector = vector(memory, buffer + written, bytes.size - written)
            check(fd_write(descriptor, vector.int, 1, count.int) == 0)
            written += count.loadInt()
        }
    }
}

private fun vector(memory: MemoryAllocator, buffer: Pointer, size: Int): Pointer {
    val vector = memory.allocate(8)
    vector.storeInt(buffer.int)
    (vector + 4).storeInt(size)
    return vector
}

private val Pointer.int get() = address.toInt()

@WasmImport("wasi_snapshot_preview1", "args_sizes_get")
private external fun args_sizes_get(count: Int, size: Int): Int

@WasmImport("wasi_snapshot_preview1", "args_get")
private external fun args_get(pointers: Int, bytes: Int): Int

@WasmImport("wasi_snapshot_preview1", "environ_sizes_get")
private external fun environ_sizes_get(count: Int, size: Int): Int

@WasmImport("wasi_snapshot_preview1", "environ_get")
private external fun environ_get(pointers: Int, bytes: Int): Int

@WasmImport("wasi_snapshot_preview1", "path_open")
private external fun path_open(
    directory: Int, lookup: Int, path: Int, size: Int, open: Int, base: Long, inheriting: Long, flags: Int, opened: Int,
): Int

@WasmImport("wasi_snapshot_preview1", "fd_read")
private external fun fd_read(descriptor: Int, vectors: Int, number: Int, count: Int): Int

@WasmImport("wasi_snapshot_preview1", "fd_write")
private external fun fd_write(descriptor: Int, vectors: Int, number: Int, count: Int): Int

@WasmImport("wasi_snapshot_preview1", "proc_exit")
private external fun proc_exit(status: Int)
