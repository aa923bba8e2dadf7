import java.nio.charset.StandardCharsets;
import org.teavm.interop.Address;
import org.teavm.interop.Import;

/** What TeaVM's class library lacks, by WASI preview 1 itself. */
final class Wasi {
    private Wasi() {}

    /** Ends the program. */
    static void exit(int status) {
        System.out.flush();
        System.err.flush();
        procExit(status);
    }

    /** The environment's variable of this name; null if there is none. */
    static String environment(String name) {
        int[] sizes = new int[2];
        Address address = Address.ofData(sizes);
        if (environSizesGet(address, address.add(4)) != 0) {
            return null;
        }
        int[] pointers = new int[sizes[0]];
        byte[] bytes = new byte[sizes[1]];
        if (environGet(Address.ofData(pointers), Address.ofData(bytes)) != 0) {
            return null;
        }
        // One variable behind the other, each with its NUL.
        String rest = new String(bytes, StandardCharsets.UTF_8);
        for (int end; (end = rest.indexOf('\0')) >= 0; rest = rest.substring(end + 1)) {
            String variable = rest.substring(0, end);
            if (variable.startsWith(name + "=")) {
                return variable.substring(name.length() + 1);
            }
        }
        return null;
    }

    @Import(module = "wasi_snapshot_preview1", name = "proc_exit")
    private static native void procExit(int status);

    @Import(module = "wasi_snapshot_preview1", name = "environ_sizes_get")
    private static native int environSizesGet(Address count, Address size);

    @Import(module = "wasi_snapshot_preview1", name = "environ_get")
    private static native int environGet(Address pointers, Address bytes);
}
