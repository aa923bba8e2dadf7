//! Modules of wasm-smith, each with a function `_start` around them that reports what they compute.

use arbitrary::Unstructured;
use wasm_encoder::{
    AbstractHeapType, BlockType, CodeSection, ExportKind, ExportSection, Function, FunctionSection,
    HeapType, Instruction, InstructionSink, MemArg, MemorySection, MemoryType, Section, SectionId,
    TypeSection, ValType,
};
use wasm_smith::{Config, Module};
use wasmparser::{
    CompositeInnerType, ExternalKind, FuncType, HeapType as ParsedHeapType, Parser, Payload,
    RefType, SubType, UnpackedIndex, ValType as ParsedType,
};

use crate::random::Random;

/// The module of a seed: always the same one; none if it does not import what it reports with.
pub fn module(seed: u64) -> Option<Vec<u8>> {
    let mut random = Random(seed);
    let config = config(&mut random);
    let entropy: Vec<u8> = (0..1024)
        .flat_map(|_| random.number().to_le_bytes())
        .collect();
    let mut module = Module::new(config, &mut Unstructured::new(&entropy)).unwrap();
    let fuel = module.ensure_termination(FUEL).unwrap();
    reporting(&module.to_bytes(), fuel)
}

/// Calls and turns of loops that each of a module's exports may make.
const FUEL: u32 = 2000;
/// Bytes that a memory of a module may have.
const MEMORY: u64 = 1 << 20;

fn config(random: &mut Random) -> Config {
    Config {
        // Its one import, whatever its arguments are.
        available_imports: Some(wat::parse_str(IMPORTS).unwrap()),
        min_imports: 1,
        max_imports: 1,
        export_everything: true,
        min_funcs: 6,
        max_funcs: 20,
        max_memories: 2,
        max_memory32_bytes: MEMORY,
        max_memory64_bytes: MEMORY.into(),
        memory_max_size_required: true,
        max_tables: 3,
        max_table_elements: 1000,
        table_max_size_required: true,
        canonicalize_nans: true,
        // Some shall get far, and the rest find every trap.
        disallow_traps: random.one_of(&[true, false]),
        gc_enabled: random.one_of(&[true, false]),
        threads_enabled: false,
        // What it computes is the processor's choice.
        relaxed_simd_enabled: false,
        ..Config::default()
    }
}

const IMPORTS: &str = r#"(module
  (import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32))))"#;
const FD_WRITE: u32 = 0;

/// The module with a memory of the report's own and two functions behind its own: one writes
/// eight bytes, and `_start` calls every export and writes what each gives, and what is then in
/// globals and memories.
fn reporting(wasm: &[u8], fuel: u32) -> Option<Vec<u8>> {
    let counted = Counted::of(wasm);
    if counted.imports != 1 {
        return None;
    }
    let write = counted.functions;
    let memory = counted.memories.len() as u32;

    let mut types = TypeSection::new();
    types.ty().function([ValType::I64], []);
    types.ty().function([], []);
    let mut functions = FunctionSection::new();
    functions.function(counted.types);
    functions.function(counted.types + 1);
    let mut memories = MemorySection::new();
    memories.memory(MemoryType {
        minimum: 1,
        maximum: None,
        memory64: false,
        shared: false,
        page_size_log2: None,
    });
    let mut exports = ExportSection::new();
    exports.export("memory", ExportKind::Memory, memory);
    exports.export("_start", ExportKind::Func, write + 1);
    let mut code = CodeSection::new();
    code.function(&written(memory));
    code.function(&start(&counted, fuel, write));
    Some(with_more(
        wasm,
        &[
            (SectionId::Type, bytes(&types)),
            (SectionId::Function, bytes(&functions)),
            (SectionId::Memory, bytes(&memories)),
            (SectionId::Export, bytes(&exports)),
            (SectionId::Code, bytes(&code)),
        ],
    ))
}

/// Writes the eight bytes of its argument to standard output.
fn written(memory: u32) -> Function {
    let at = |offset| MemArg {
        offset,
        align: 0,
        memory_index: memory,
    };
    let mut function = Function::new([]);
    let mut code = function.instructions();
    code.i32_const(0).local_get(0).i64_store(at(16));
    code.i32_const(0).i32_const(16).i32_store(at(0));
    code.i32_const(0).i32_const(8).i32_store(at(4));
    code.i32_const(1).i32_const(0).i32_const(1).i32_const(8);
    code.call(FD_WRITE).drop().end();
    function
}

fn start(counted: &Counted, fuel: u32, write: u32) -> Function {
    // An address, and a sum over a memory.
    let mut function = Function::new([(2, ValType::I64)]);
    for (index, ty) in &counted.exported {
        let arguments: Option<Vec<_>> = ty.params().iter().copied().map(argument).collect();
        let Some(arguments) = arguments else { continue };
        function
            .instructions()
            .i32_const(FUEL as i32)
            .global_set(fuel);
        for argument in &arguments {
            function.instruction(argument);
        }
        function.instructions().call(*index);
        for &ty in ty.results().iter().rev() {
            report(&mut function.instructions(), ty, write);
        }
    }
    let mut code = function.instructions();
    for (index, &ty) in counted.globals.iter().enumerate() {
        code.global_get(index as u32);
        report(&mut code, ty, write);
    }
    for (index, &memory64) in counted.memories.iter().enumerate() {
        sum(&mut code, index as u32, memory64);
        code.local_get(1).call(write);
    }
    code.end();
    function
}

/// An argument of the type, if there is one that can be made of nothing.
fn argument(ty: ParsedType) -> Option<Instruction<'static>> {
    Some(match ty {
        ParsedType::I32 => Instruction::I32Const(-7),
        ParsedType::I64 => Instruction::I64Const(1 << 40 | 12345),
        ParsedType::F32 => Instruction::F32Const(1.5f32.into()),
        ParsedType::F64 => Instruction::F64Const((-1e100f64).into()),
        ParsedType::V128 => Instruction::V128Const(0x0123_4567_89ab_cdef << 32),
        ParsedType::Ref(reference) if reference.is_nullable() => {
            Instruction::RefNull(heap_type(reference)?)
        }
        ParsedType::Ref(_) => return None,
    })
}

fn heap_type(reference: RefType) -> Option<HeapType> {
    let ty = match reference.heap_type() {
        ParsedHeapType::Abstract { shared: false, ty } => ty,
        ParsedHeapType::Concrete(UnpackedIndex::Module(index)) => {
            return Some(HeapType::Concrete(index));
        }
        _ => return None,
    };
    use AbstractHeapType as To;
    use wasmparser::AbstractHeapType as From;
    let ty = match ty {
        From::Func => To::Func,
        From::NoFunc => To::NoFunc,
        From::Extern => To::Extern,
        From::NoExtern => To::NoExtern,
        From::Any => To::Any,
        From::None => To::None,
        From::Eq => To::Eq,
        From::Struct => To::Struct,
        From::Array => To::Array,
        From::I31 => To::I31,
        From::Exn => To::Exn,
        From::NoExn => To::NoExn,
        _ => return None,
    };
    Some(HeapType::Abstract { shared: false, ty })
}

/// Writes the value on the stack.
fn report(code: &mut InstructionSink<'_>, ty: ParsedType, write: u32) {
    match ty {
        ParsedType::I32 => code.i64_extend_i32_u(),
        ParsedType::I64 => code,
        ParsedType::F32 => code.i32_reinterpret_f32().i64_extend_i32_u(),
        ParsedType::F64 => code.i64_reinterpret_f64(),
        // One half; the other is worth no local.
        ParsedType::V128 => code.i64x2_extract_lane(1),
        ParsedType::Ref(_) => code.ref_is_null().i64_extend_i32_u(),
    };
    code.call(write);
}

/// Leaves a sum over all words of a memory in local 1.
fn sum(code: &mut InstructionSink<'_>, memory: u32, memory64: bool) {
    let at = MemArg {
        offset: 0,
        align: 0,
        memory_index: memory,
    };
    code.i64_const(0).local_set(0).i64_const(0).local_set(1);
    code.block(BlockType::Empty).loop_(BlockType::Empty);
    code.local_get(0).memory_size(memory);
    if !memory64 {
        code.i64_extend_i32_u();
    }
    code.i64_const(16).i64_shl().i64_ge_u().br_if(1);
    code.local_get(1).i64_const(5).i64_rotl().local_get(0);
    if !memory64 {
        code.i32_wrap_i64();
    }
    code.i64_load(at).i64_xor().local_set(1);
    code.local_get(0).i64_const(8).i64_add().local_set(0).br(0);
    code.end().end();
}

/// What a module has.
#[derive(Default)]
struct Counted {
    types: u32,
    imports: u32,
    functions: u32,
    exported: Vec<(u32, FuncType)>,
    globals: Vec<ParsedType>,
    /// Whether each memory's addresses have 64 bits.
    memories: Vec<bool>,
}

impl Counted {
    fn of(wasm: &[u8]) -> Self {
        let mut counted = Self {
            functions: 1,
            ..Self::default()
        };
        let mut types: Vec<SubType> = Vec::new();
        let mut declared = vec![None];
        for payload in Parser::new(0).parse_all(wasm) {
            match payload.unwrap() {
                Payload::TypeSection(section) => {
                    types.extend(
                        section
                            .into_iter()
                            .flat_map(|group| group.unwrap().into_types()),
                    );
                    counted.types = types.len() as u32;
                }
                Payload::ImportSection(section) => counted.imports = section.count(),
                Payload::FunctionSection(section) => {
                    declared.extend(section.into_iter().map(|index| Some(index.unwrap())));
                    counted.functions = declared.len() as u32;
                }
                Payload::MemorySection(section) => {
                    let memories = section.into_iter().map(|memory| memory.unwrap().memory64);
                    counted.memories = memories.collect();
                }
                Payload::GlobalSection(section) => {
                    let globals = section.into_iter();
                    counted.globals = globals
                        .map(|global| global.unwrap().ty.content_type)
                        .collect();
                }
                Payload::ExportSection(section) => {
                    for export in section {
                        let export = export.unwrap();
                        let index = export.index;
                        let ty = declared.get(index as usize).copied().flatten();
                        if let (ExternalKind::Func, Some(ty)) = (export.kind, ty)
                            && let CompositeInnerType::Func(ty) =
                                &types[ty as usize].composite_type.inner
                        {
                            counted.exported.push((index, ty.clone()));
                        }
                    }
                }
                _ => {}
            }
        }
        counted
    }
}

/// The module with more items at the end of these sections, each of which is here as its own
/// section's contents.
fn with_more(wasm: &[u8], more: &[(SectionId, Vec<u8>)]) -> Vec<u8> {
    let mut sections: Vec<(u8, Vec<u8>)> = Vec::new();
    for payload in Parser::new(0).parse_all(wasm) {
        if let Some((id, range)) = payload.unwrap().as_section() {
            sections.push((id, wasm[range].to_vec()));
        }
    }
    for (id, items) in more {
        let id = *id as u8;
        match sections.iter_mut().find(|(other, _)| *other == id) {
            Some((_, contents)) => {
                let (count, old) = number(contents);
                let (added, new) = number(items);
                *contents = [&leb(count + added)[..], old, new].concat();
            }
            None => {
                let later = |&(other, _): &(u8, _)| place(other) > place(id);
                let index = sections.iter().position(later);
                sections.insert(index.unwrap_or(sections.len()), (id, items.clone()));
            }
        }
    }
    let mut module = wasm[..8].to_vec();
    for (id, contents) in sections {
        module.push(id);
        module.extend(leb(contents.len() as u32));
        module.extend(contents);
    }
    module
}

/// Where a section has its place among the others.
fn place(id: u8) -> Option<usize> {
    const ORDER: [u8; 13] = [1, 2, 3, 4, 5, 13, 6, 7, 8, 9, 12, 10, 11];
    ORDER.iter().position(|&other| other == id)
}

/// A section's contents: its items' number, and themselves.
fn bytes(section: &impl Section) -> Vec<u8> {
    let mut bytes = Vec::new();
    section.encode(&mut bytes);
    number(&bytes).1.to_vec()
}

/// A number in front of bytes, and the bytes behind it.
fn number(bytes: &[u8]) -> (u32, &[u8]) {
    let length = bytes.iter().position(|byte| byte & 0x80 == 0).unwrap() + 1;
    let digits = bytes[..length].iter().rev();
    let value = digits.fold(0, |value, digit| value << 7 | u32::from(digit & 0x7f));
    (value, &bytes[length..])
}

fn leb(mut value: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}
