//! Programs under wasmtime itself, with the surroundings that a Keep gives them.

use std::{fs, thread};

use wasmtime::{
    Collector, Config, Engine, Linker, Module, ResourceLimiter, Store, ThrownException, Trap,
};
use wasmtime_wasi::{
    FsPerms, I32Exit, WasiCtxBuilder,
    p1::{WasiP1Ctx, add_to_linker_sync},
    p2::pipe::{MemoryInputPipe, MemoryOutputPipe},
};

pub const ARGUMENTS: [&str; 2] = ["one", "two words"];
pub const INPUT: &[u8] = b"a line of input\n";
/// Files below the root.
pub const FILES: [(&str, &str); 3] = [
    ("/seed", "a seed of sixteen"),
    ("/a/deep/file", "deep"),
    ("/b/empty", ""),
];

/// What a program did.
#[derive(Debug)]
pub struct Outcome {
    pub stdout: Vec<u8>,
    /// Its exit status, if it did not fail.
    pub status: Option<i32>,
    /// Words that tell why it failed.
    pub failure: String,
    /// Whether it was denied memory.
    pub denied: bool,
}

/// wasmtime with the proposals that languages need.
pub struct Wasmtime {
    engine: Engine,
    linker: Linker<State>,
}

/// Bytes that the memories of a program may have together, and what the command calls that.
const MEMORY: usize = 64 << 20;
pub const MEMORY_LIMIT: &str = "64MiB";

/// As much stack as programs have in a Keep.
const STACK: usize = 8 << 20;

impl Wasmtime {
    pub fn new() -> Self {
        let mut config = Config::new();
        config
            .max_wasm_stack(STACK)
            .async_stack_size(2 * STACK)
            // What is denied depends on how it collects.
            .collector(Collector::Copying)
            .wasm_exceptions(true)
            .wasm_function_references(true)
            .wasm_gc(true)
            .wasm_memory64(true)
            .wasm_multi_memory(true)
            .wasm_relaxed_simd(true)
            .wasm_tail_call(true);
        let engine = Engine::new(&config).unwrap();
        let mut linker = Linker::new(&engine);
        add_to_linker_sync(&mut linker, |state: &mut State| &mut state.wasi).unwrap();
        Self { engine, linker }
    }

    pub fn run(&self, wasm: &[u8]) -> Outcome {
        // The test's own thread has less stack than the program may use.
        thread::scope(|scope| {
            let thread = thread::Builder::new().stack_size(4 * STACK);
            let thread = thread.spawn_scoped(scope, || self.run_here(wasm)).unwrap();
            thread.join().unwrap()
        })
    }

    fn run_here(&self, wasm: &[u8]) -> Outcome {
        let tree = tempfile::tempdir().unwrap();
        for (name, contents) in FILES {
            let path = tree.path().join(name.trim_start_matches('/'));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, contents).unwrap();
        }
        let stdout = MemoryOutputPipe::new(16 << 20);
        let wasi = WasiCtxBuilder::new()
            .allow_blocking_current_thread(true)
            .arg("program.wasm")
            .args(&ARGUMENTS)
            .stdin(MemoryInputPipe::new(INPUT))
            .stdout(stdout.clone())
            .preopened_dir(tree.path(), "/", FsPerms::ReadWrite)
            .unwrap()
            .build_p1();
        let module = Module::new(&self.engine, wasm).unwrap_or_else(|error| panic!("{error:?}"));
        let memory = Memory::default();
        let mut store = Store::new(&self.engine, State { wasi, memory });
        store.limiter(|state| &mut state.memory);
        let ended = self
            .linker
            .instantiate(&mut store, &module)
            .and_then(|instance| instance.get_typed_func::<(), ()>(&mut store, "_start"))
            .and_then(|start| start.call(&mut store, ()));
        let (status, failure) = match ended {
            Ok(()) => (Some(0), String::new()),
            Err(error) => match error.downcast_ref::<I32Exit>() {
                Some(I32Exit(status)) => (Some(*status), String::new()),
                None => (None, failure(&error)),
            },
        };
        Outcome {
            stdout: stdout.contents().to_vec(),
            status,
            failure,
            denied: store.data().memory.denied,
        }
    }
}

struct State {
    wasi: WasiP1Ctx,
    memory: Memory,
}

/// What a program has of memory.
#[derive(Default)]
struct Memory {
    bytes: usize,
    denied: bool,
}

impl ResourceLimiter for Memory {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let bytes = self.bytes.saturating_add(desired - current);
        if bytes > MEMORY {
            self.denied = true;
            return Ok(false);
        }
        self.bytes = bytes;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        _desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(true)
    }
}

fn failure(error: &wasmtime::Error) -> String {
    if let Some(trap) = error.downcast_ref::<Trap>() {
        return trap.to_string();
    }
    if let Some(thrown) = error.downcast_ref::<ThrownException>() {
        return thrown.to_string();
    }
    error.to_string()
}
