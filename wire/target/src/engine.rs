//! A target's wasmtime configuration.

use wasmtime::{Collector, Config, ModuleVersionStrategy, WasmBacktraceDetails};

use crate::{Calls, CompileTarget, MemoryStrategy, TargetError};

/// Stack that WebAssembly code may use, in bytes: as much as a native program
/// has by default, since interpreters recurse deeply. Touched on demand.
pub const WASM_STACK_SIZE: usize = 8 << 20;

/// Stack of the fibre that runs WebAssembly code, in bytes: its own part and
/// room for the runtime's functions that it calls.
pub const ASYNC_STACK_SIZE: usize = WASM_STACK_SIZE + (2 << 20);

impl CompileTarget {
    /// The configuration of a wasmtime engine that loads code for this target and with these
    /// calls.
    ///
    /// It fixes every setting that takes part in wasmtime's own comparison of
    /// machine code and engine, so that neither the machine on which it is called
    /// nor an environment variable nor a new default changes it.
    ///
    /// # Errors
    ///
    /// [`TargetError`] when this build does not support the target.
    pub fn engine_config(&self, calls: Calls) -> Result<Config, TargetError> {
        self.check_supported()?;
        let mut config = Config::new();
        refused(config.target(self.triple()))?;
        common(&mut config, self.memory(), calls)?;
        Ok(config)
    }

    /// [`CompileTarget::engine_config`] with a code generator for this target.
    ///
    /// # Errors
    ///
    /// [`TargetError`] when this build does not support the target.
    #[cfg(feature = "compiler")]
    pub fn compiler_config(&self, calls: Calls) -> Result<Config, TargetError> {
        let mut config = self.engine_config(calls)?;
        config.strategy(wasmtime::Strategy::Cranelift);
        config.cranelift_opt_level(wasmtime::OptLevel::Speed);
        for feature in self.features() {
            // SAFETY: `check_supported` accepted only flags that state that the
            // target's CPU has an instruction set extension. Code for a CPU that
            // lacks one is refused by `Module::deserialize` on that CPU.
            unsafe { config.cranelift_flag_enable(feature) };
        }
        Ok(config)
    }
}

fn common(config: &mut Config, memory: MemoryStrategy, calls: Calls) -> Result<(), TargetError> {
    // wasmtime compares only major versions on its own.
    let version = ModuleVersionStrategy::Custom(crate::WASMTIME_VERSION.to_owned());
    refused(config.module_version(version))?;
    proposals(config);
    asynchronous_calls(config, calls == Calls::Asynchronous);
    debugging(config);
    // A Keep instantiates a program once: copying its data is cheaper than
    // building an image to map it from, and needs no further system calls.
    config.memory_init_cow(false);
    config.max_wasm_stack(WASM_STACK_SIZE);
    config.async_stack_size(ASYNC_STACK_SIZE);
    // Both cost 20 to 50 % in loops; limits of time are kept outside the code.
    config.epoch_interruption(false);
    config.consume_fuel(false);
    match memory {
        MemoryStrategy::GuardPages => guard_pages(config),
        MemoryStrategy::Bounded => bounded(config),
    }
    Ok(())
}

/// The WebAssembly proposals that a program may use: the phase 5 ones that
/// languages need, and the component model.
fn proposals(config: &mut Config) {
    config
        .wasm_simd(true)
        .wasm_relaxed_simd(true)
        .relaxed_simd_deterministic(false)
        .wasm_bulk_memory(true)
        .wasm_multi_value(true)
        .wasm_multi_memory(true)
        .wasm_memory64(true)
        .wasm_extended_const(true)
        .wasm_tail_call(true)
        .wasm_reference_types(true)
        .wasm_function_references(true)
        .wasm_gc(true)
        .wasm_exceptions(true)
        .wasm_threads(false)
        .wasm_component_model(true)
        .collector(Collector::Copying);
}

/// The part of the component model that WASI 0.3 needs.
fn asynchronous_calls(config: &mut Config, has: bool) {
    config
        .concurrency_support(has)
        .wasm_component_model_async(has)
        .wasm_component_model_more_async_builtins(false)
        .wasm_component_model_async_stackful(false)
        .wasm_component_model_threading(false);
}

/// Function names and offsets in backtraces, nothing for native debuggers.
fn debugging(config: &mut Config) {
    config
        .wasm_backtrace_details(WasmBacktraceDetails::Disable)
        .generate_address_map(true)
        .debug_info(false)
        .debug_symbols(false)
        .native_unwind_info(false);
}

/// Reserves all that a 32-bit index can reach, so that no access is compared
/// with a bound; the guard behind it catches constant offsets.
fn guard_pages(config: &mut Config) {
    const RESERVATION: u64 = 4 << 30;
    const GUARD: u64 = 32 << 20;
    const GROWTH: u64 = 2 << 30;
    config
        .signals_based_traps(true)
        .memory_may_move(true)
        .memory_reservation(RESERVATION)
        .memory_guard_size(GUARD)
        .memory_reservation_for_growth(GROWTH)
        .guard_before_linear_memory(true)
        .gc_heap_may_move(true)
        .gc_heap_reservation(RESERVATION)
        .gc_heap_guard_size(GUARD)
        .gc_heap_reservation_for_growth(GROWTH);
}

/// Reserves nothing and compares every access with its bound.
fn bounded(config: &mut Config) {
    const GROWTH: u64 = 1 << 20;
    config
        .signals_based_traps(false)
        .memory_may_move(true)
        .memory_reservation(0)
        .memory_guard_size(0)
        .memory_reservation_for_growth(GROWTH)
        .guard_before_linear_memory(false)
        .gc_heap_may_move(true)
        .gc_heap_reservation(0)
        .gc_heap_guard_size(0)
        .gc_heap_reservation_for_growth(GROWTH);
}

fn refused<T>(result: wasmtime::Result<T>) -> Result<(), TargetError> {
    match result {
        Ok(_) => Ok(()),
        Err(error) => Err(TargetError::Engine(error.to_string())),
    }
}

#[cfg(all(test, feature = "compiler"))]
mod tests {
    use super::*;
    use wasmtime::Engine;

    /// `(module (func (export "f") (param i32) (result i32) local.get 0 i32.popcnt))`
    const POPCOUNT: &[u8] = b"\0asm\x01\0\0\0\x01\x06\x01\x60\x01\x7f\x01\x7f\x03\x02\x01\0\
        \x07\x05\x01\x01f\0\0\x0a\x07\x01\x05\0\x20\0\x69\x0b";

    fn compiled(target: &CompileTarget) -> Vec<u8> {
        let engine = Engine::new(&target.compiler_config(Calls::Synchronous).unwrap()).unwrap();
        engine.precompile_module(POPCOUNT).unwrap()
    }

    #[test]
    fn detection_agrees_with_the_code_generator() {
        for memory in [MemoryStrategy::GuardPages, MemoryStrategy::Bounded] {
            let target = CompileTarget::detect(memory).unwrap();
            // Without an explicit target Cranelift infers this CPU's features.
            let mut inferred = Config::new();
            common(&mut inferred, memory, Calls::Synchronous).unwrap();
            inferred.cranelift_opt_level(wasmtime::OptLevel::Speed);
            let engine = Engine::new(&inferred).unwrap();
            assert!(
                compiled(&target) == engine.precompile_module(POPCOUNT).unwrap(),
                "other CPU features than Cranelift infers"
            );
        }
    }

    #[test]
    fn features_and_strategies_make_other_code() {
        let plain =
            |memory| CompileTarget::new(crate::WASMTIME_VERSION, crate::X86_64_LINUX, [], memory);
        let guarded = plain(MemoryStrategy::GuardPages).unwrap();
        let bounded = plain(MemoryStrategy::Bounded).unwrap();
        let own = CompileTarget::detect(MemoryStrategy::GuardPages).unwrap();
        assert!(compiled(&guarded) != compiled(&bounded));
        assert!(compiled(&guarded) != compiled(&own));
        assert!(compiled(&own) == compiled(&own));
    }

    #[test]
    fn code_for_another_strategy_does_not_load() {
        let target = |memory| CompileTarget::detect(memory).unwrap();
        let bounded = compiled(&target(MemoryStrategy::Bounded));
        let guarded = target(MemoryStrategy::GuardPages);
        let engine = Engine::new(&guarded.engine_config(Calls::Synchronous).unwrap()).unwrap();
        // SAFETY: the bytes come from this wasmtime's own compiler, above.
        let loaded = unsafe { wasmtime::Module::deserialize(&engine, bounded) };
        assert!(loaded.is_err());
        // SAFETY: as above.
        let loaded = unsafe { wasmtime::Module::deserialize(&engine, compiled(&guarded)) };
        assert!(loaded.is_ok());
    }

    #[test]
    fn every_known_feature_compiles() {
        for feature in crate::cpu::detected() {
            let target = CompileTarget::new(
                crate::WASMTIME_VERSION,
                crate::X86_64_LINUX,
                [feature.to_owned()],
                MemoryStrategy::GuardPages,
            )
            .unwrap();
            compiled(&target);
        }
    }
}
