//! The emulator's debugger (GDB, "Remote Serial Protocol").

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;

/// A machine that stands still.
pub(super) struct Debugger(BufReader<UnixStream>);

impl Debugger {
    /// Arguments of an emulator that begins standing still, and has its debugger in `directory`.
    pub(super) fn arguments(directory: &Path) -> Vec<String> {
        let socket = Self::socket(directory);
        [
            "-S",
            "-chardev",
            &format!("socket,id=g,path={},server=on,wait=off", socket.display()),
            "-gdb",
            "chardev:g",
        ]
        .map(str::to_owned)
        .into()
    }

    /// That of the emulator in `directory`.
    pub(super) fn connect(directory: &Path) -> Self {
        let stream = UnixStream::connect(Self::socket(directory)).unwrap();
        let mut debugger = Self(BufReader::new(stream));
        debugger.ask("?");
        debugger
    }

    /// Goes on until the instruction at `address` is the next.
    pub(super) fn run_to(&mut self, address: u64) {
        self.set_out_for(address);
        self.arrive(address);
    }

    /// Goes on, to stop before the instruction at `address`.
    pub(super) fn set_out_for(&mut self, address: u64) {
        assert_eq!(self.ask(&format!("Z1,{address:x},1")), "OK");
        self.send("c");
    }

    /// Waits until the instruction at `address`, which was set out for, is the next.
    pub(super) fn arrive(&mut self, address: u64) {
        self.answer();
        assert_eq!(self.next(), address);
        assert_eq!(self.ask(&format!("z1,{address:x},1")), "OK");
    }

    /// Runs one instruction.
    pub(super) fn step(&mut self) {
        self.ask("s");
    }

    /// The address of the next instruction, in 64-bit mode.
    pub(super) fn next(&mut self) -> u64 {
        const INSTRUCTION_POINTER: usize = 16 * 16;
        let registers = self.ask("g");
        let digits = &registers[INSTRUCTION_POINTER..INSTRUCTION_POINTER + 16];
        u64::from_str_radix(digits, 16).unwrap().swap_bytes()
    }

    /// Changes memory, be it the machine's to change or not.
    pub(super) fn write(&mut self, address: u64, bytes: &[u8]) {
        let digits = hex(bytes);
        let size = bytes.len();
        assert_eq!(self.ask(&format!("M{address:x},{size:x}:{digits}")), "OK");
    }

    /// Goes on.
    pub(super) fn go_on(mut self) {
        self.send("c");
    }

    /// Goes on, with an interrupt that cannot be held back (NMI) before the next instruction.
    pub(super) fn interrupt(mut self) {
        let command = hex(b"nmi");
        assert_eq!(self.ask(&format!("qRcmd,{command}")), "OK");
        self.go_on();
    }

    fn ask(&mut self, command: &str) -> String {
        self.send(command);
        self.answer()
    }

    fn answer(&mut self) -> String {
        let mut answer = Vec::new();
        self.0.skip_until(b'$').unwrap();
        self.0.read_until(b'#', &mut answer).unwrap();
        let mut sum = [0; 2];
        self.0.read_exact(&mut sum).unwrap();
        self.0.get_mut().write_all(b"+").unwrap();
        answer.pop();
        String::from_utf8(answer).unwrap()
    }

    fn send(&mut self, command: &str) {
        let sum = command.bytes().fold(0, u8::wrapping_add);
        let packet = format!("${command}#{sum:02x}");
        self.0.get_mut().write_all(packet.as_bytes()).unwrap();
    }

    fn socket(directory: &Path) -> std::path::PathBuf {
        directory.join("debugger")
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
