//! Modules made by code: the same bytes on every machine and in every run.

use wasm_encoder::{
    CodeSection, ConstExpr, DataSection, EntityType, ExportKind, ExportSection, Function,
    FunctionSection, ImportSection, InstructionSink, MemArg, MemArgTarget, MemorySection,
    MemoryType, Module, TypeSection, ValType,
};

/// What every module of this file prints.
pub const OUTPUT: &str = "ready\n";

/// Prints [`OUTPUT`] and ends: nothing but start-up.
pub fn tiny() -> Vec<u8> {
    let mut builder = Builder::new();
    let mut start = Function::new([]);
    print(&mut start.instructions());
    start.instructions().end();
    builder.code.function(&start);
    builder.finish(&[])
}

/// Prints [`OUTPUT`] and waits until its standard input gives something or ends.
pub fn waiting() -> Vec<u8> {
    let mut builder = Builder::new();
    let mut start = Function::new([]);
    print(&mut start.instructions());
    transfer(&mut start.instructions(), FD_READ, 0, BUFFER_ADDRESS);
    start.instructions().end();
    builder.code.function(&start);
    builder.finish(&[])
}

/// A module of at least `size` bytes, most of them code that loops, calls, computes
/// and touches memory, as a compiled application's. Runs one function in a hundred
/// once, prints [`OUTPUT`], and ends.
pub fn large(size: usize) -> Vec<u8> {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let data: Vec<u8> = (0..size / 10).map(|_| random.below(256) as u8).collect();
    let mut builder = Builder::new();
    let mut bodies = Vec::new();
    let mut bytes = data.len();
    while bytes < size {
        let body = function(&mut random, bodies.len() as u32);
        bytes += body.byte_len();
        bodies.push(body);
    }
    let mut start = Function::new([]);
    for index in (0..bodies.len() as u32).step_by(100) {
        let mut code = start.instructions();
        code.i32_const(index as i32).i32_const(7);
        code.call(FIRST_FUNCTION + index).drop();
    }
    print(&mut start.instructions());
    start.instructions().end();
    builder.code.function(&start);
    for body in &bodies {
        builder.functions.function(COMPUTE_TYPE);
        builder.code.function(body);
    }
    builder.finish(&data)
}

const COMPUTE_TYPE: u32 = 0;
const TRANSFER_TYPE: u32 = 1;
const START_TYPE: u32 = 2;

/// Functions in the order of their index: the imports, `_start`, then the others.
const FD_WRITE: u32 = 0;
const FD_READ: u32 = 1;
const START: u32 = 2;
const FIRST_FUNCTION: u32 = 3;

/// Memory: a WASI buffer {address, length}, the result of a call, the text, a
/// buffer for input, and from the next page on data.
const WASI_BUFFER_ADDRESS: i32 = 16;
const RESULT_ADDRESS: i32 = 24;
const TEXT_ADDRESS: i32 = 64;
const BUFFER_ADDRESS: i32 = 128;
const DATA_ADDRESS: i32 = PAGE_SIZE as i32;
const PAGE_SIZE: usize = 64 << 10;

/// The parts of a module that grow.
struct Builder {
    functions: FunctionSection,
    code: CodeSection,
}

impl Builder {
    fn new() -> Self {
        let mut functions = FunctionSection::new();
        functions.function(START_TYPE);
        Self {
            functions,
            code: CodeSection::new(),
        }
    }

    /// The module, with `_start` as the first function of its own.
    fn finish(self, data: &[u8]) -> Vec<u8> {
        let mut types = TypeSection::new();
        let i32s = |count| std::iter::repeat_n(ValType::I32, count);
        types.ty().function(i32s(2), i32s(1));
        types.ty().function(i32s(4), i32s(1));
        types.ty().function([], []);

        let mut imports = ImportSection::new();
        for name in ["fd_write", "fd_read"] {
            let function = EntityType::Function(TRANSFER_TYPE);
            imports.import("wasi_snapshot_preview1", name, function);
        }
        let mut memories = MemorySection::new();
        memories.memory(MemoryType {
            minimum: 1 + data.len().div_ceil(PAGE_SIZE) as u64,
            maximum: None,
            memory64: false,
            shared: false,
            page_size_log2: None,
        });
        let mut exports = ExportSection::new();
        exports.export("memory", ExportKind::Memory, 0);
        exports.export("_start", ExportKind::Func, START);
        let mut contents = DataSection::new();
        contents.active(0, &ConstExpr::i32_const(TEXT_ADDRESS), OUTPUT.bytes());
        if !data.is_empty() {
            let address = ConstExpr::i32_const(DATA_ADDRESS);
            contents.active(0, &address, data.iter().copied());
        }
        let mut module = Module::new();
        module
            .section(&types)
            .section(&imports)
            .section(&self.functions)
            .section(&memories)
            .section(&exports)
            .section(&self.code)
            .section(&contents);
        module.finish()
    }
}

/// Writes the text to the standard output.
fn print(code: &mut InstructionSink<'_>) {
    transfer(code, FD_WRITE, 1, TEXT_ADDRESS);
}

/// Calls `function` for one buffer of the text's size at `address`, and traps when
/// it gives an error.
fn transfer(code: &mut InstructionSink<'_>, function: u32, descriptor: i32, address: i32) {
    let word = |offset| MemArg {
        offset,
        align: 2,
        target: MemArgTarget::Memory(0),
        ordering: None,
    };
    code.i32_const(WASI_BUFFER_ADDRESS)
        .i32_const(address)
        .i32_store(word(0))
        .i32_const(WASI_BUFFER_ADDRESS)
        .i32_const(OUTPUT.len() as i32)
        .i32_store(word(4))
        .i32_const(descriptor)
        .i32_const(WASI_BUFFER_ADDRESS)
        .i32_const(1)
        .i32_const(RESULT_ADDRESS)
        .call(function)
        .if_(wasm_encoder::BlockType::Empty)
        .unreachable()
        .end();
}

/// A function of a few hundred bytes over its two parameters and four more locals.
fn function(random: &mut Random, index: u32) -> Function {
    const LOCALS: u32 = 6;
    const COUNTER: u32 = LOCALS;
    let mut function = Function::new([(LOCALS - 2 + 1, ValType::I32)]);
    let mut code = function.instructions();
    for _ in 0..3 + random.below(6) {
        code.i32_const(2 + random.below(6) as i32)
            .local_set(COUNTER)
            .loop_(wasm_encoder::BlockType::Empty);
        for _ in 0..4 + random.below(8) {
            let [left, right, to] = std::array::from_fn(|_| random.below(LOCALS));
            statement(&mut code, random, [left, right, to]);
        }
        if index > 0 {
            // Compiled, but not run: nothing makes a local this constant.
            code.local_get(random.below(LOCALS))
                .i32_const(0x5eed_0000 | index as i32)
                .i32_eq()
                .if_(wasm_encoder::BlockType::Empty)
                .local_get(0)
                .local_get(1)
                .call(FIRST_FUNCTION + random.below(index))
                .local_set(random.below(LOCALS))
                .end();
        }
        code.local_get(COUNTER)
            .i32_const(1)
            .i32_sub()
            .local_tee(COUNTER)
            .br_if(0)
            .end();
    }
    for local in 1..LOCALS {
        code.local_get(0).local_get(local).i32_xor().local_set(0);
    }
    code.local_get(0).end();
    function
}

fn statement(code: &mut InstructionSink<'_>, random: &mut Random, [left, right, to]: [u32; 3]) {
    /// Loads and stores stay in the first page, above the WASI buffers.
    const MASK: i32 = 0x3ffc;
    let memory = MemArg {
        offset: 4096,
        align: 2,
        target: MemArgTarget::Memory(0),
        ordering: None,
    };
    code.local_get(left);
    match random.below(10) {
        0 => code.local_get(right).i32_add(),
        1 => code.local_get(right).i32_sub(),
        2 => code.local_get(right).i32_mul(),
        3 => code.local_get(right).i32_xor(),
        4 => code.i32_const(random.below(1 << 20) as i32).i32_add(),
        5 => code.i32_const(1 + random.below(31) as i32).i32_rotl(),
        6 => code.local_get(right).local_get(to).select(),
        7 => code.local_get(right).i32_lt_u(),
        8 => code.i32_const(MASK).i32_and().i32_load(memory),
        _ => {
            code.i32_const(MASK).i32_and();
            code.local_get(right).i32_store(memory).local_get(right)
        }
    };
    code.local_set(to);
}

/// xorshift64 (Marsaglia, "Xorshift RNGs", 2003).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 32) % u64::from(limit)) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_module_is_as_large_as_asked_and_always_the_same() {
        let module = large(1 << 18);
        assert!(module.len() >= 1 << 18 && module.len() < (1 << 18) + 8192);
        assert!(module == large(1 << 18));
    }
}
