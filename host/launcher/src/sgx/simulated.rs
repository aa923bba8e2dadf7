//! Enclaves of the simulator.

use std::any::Any;
use std::io;

use enarx_host_simulator::sgx::enclave::{
    Builder, Enclave as SimulatedEnclave, LeafError, SgxEnclaveRun,
};
use enarx_host_simulator::sgx::{Machine, Processor};
use enarx_wire_launch::PAGE_SIZE;
use enarx_wire_launch::sgx::{Secs, Section, Sigstruct};

use super::configuration::SimulatedMachine;
use super::enclave::{Enclave, EnclaveBuilder, EnterFunction, Run};
use super::keep_process::Means;
use super::services::Quoting;

/// Opens a simulated machine.
///
/// # Errors
///
/// What stands in the way.
pub(super) fn open(simulated: &SimulatedMachine) -> Result<Means, String> {
    let machine = Machine::open(&simulated.directory).map_err(|error| error.to_string())?;
    let processor = machine
        .start_processor()
        .map_err(|error| error.to_string())?;
    // Its key is on disk, which the Keep's process does not see for long.
    machine.prepare();
    let builder = SimulatedBuilder {
        processor,
        fast: simulated.fast,
        builder: None,
    };
    Ok((Box::new(builder), Some(Box::new(SimulatedQuoting(machine)))))
}

struct SimulatedBuilder {
    processor: Processor,
    fast: bool,
    /// From ECREATE on.
    builder: Option<Builder>,
}

impl EnclaveBuilder for SimulatedBuilder {
    fn create(&mut self, secs: Secs) -> io::Result<()> {
        self.builder = Some(Builder::create(&secs.encode()).map_err(refused)?);
        Ok(())
    }

    fn add(&mut self, section: &Section<'_>) -> io::Result<()> {
        let builder = self.builder.as_mut().ok_or(io::ErrorKind::InvalidInput)?;
        let info = section.info.encode();
        for index in 0..section.pages {
            let offset = section.offset + index * PAGE_SIZE as u64;
            builder
                .add(offset, &info, &section.page(index))
                .map_err(refused)?;
            if section.measured {
                builder.extend(offset).map_err(refused)?;
            }
        }
        Ok(())
    }

    fn initialize(self: Box<Self>, sigstruct: &Sigstruct) -> io::Result<Box<dyn Enclave>> {
        let builder = self.builder.ok_or(io::ErrorKind::InvalidInput)?;
        let builder = if self.fast { builder.fast() } else { builder };
        let enclave = builder
            .init(sigstruct.as_bytes(), Box::new(self.processor))
            .map_err(io::Error::other)?;
        Ok(Box::new(Simulated(enclave)))
    }
}

struct Simulated(SimulatedEnclave);

impl Enclave for Simulated {
    fn base(&self) -> u64 {
        self.0.base()
    }

    fn enter_function(&self) -> EnterFunction {
        const {
            assert!(size_of::<Run>() == size_of::<SgxEnclaveRun>());
        }
        // SAFETY: both are the interface of the same function of the vDSO, whose one structure
        // each side has defined for itself, as Linux lays it out.
        unsafe {
            std::mem::transmute::<enarx_host_simulator::sgx::enclave::EnterFunction, EnterFunction>(
                SimulatedEnclave::enter_function(),
            )
        }
    }

    fn attach_thread(&self) -> io::Result<Box<dyn Any>> {
        Ok(Box::new(self.0.attach_thread()?))
    }

    fn restrict(&self, offset: u64, pages: u64, access: u64) -> io::Result<()> {
        let access = u8::try_from(access).map_err(|_| io::ErrorKind::InvalidInput)?;
        all_of(pages, self.0.restrict(offset, pages, access))
    }

    fn trim(&self, offset: u64, pages: u64) -> io::Result<()> {
        all_of(pages, self.0.trim(offset, pages))
    }

    fn remove(&self, offset: u64, pages: u64) -> io::Result<()> {
        all_of(pages, self.0.remove(offset, pages))
    }
}

fn all_of(pages: u64, done: Result<u64, LeafError>) -> io::Result<()> {
    match done {
        Ok(done) if done == pages => Ok(()),
        Ok(_) => Err(io::ErrorKind::InvalidInput.into()),
        Err(error) => Err(refused(error)),
    }
}

struct SimulatedQuoting(Machine);

impl Quoting for SimulatedQuoting {
    fn target(&self) -> io::Result<[u8; 512]> {
        Ok(self.0.quoting_target())
    }

    fn quote(&self, report: &[u8]) -> io::Result<Vec<u8>> {
        self.0.quote(report).map_err(io::Error::other)
    }
}

fn refused(error: LeafError) -> io::Error {
    io::Error::other(error)
}
