//! Enclaves of the simulator.

use std::any::Any;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::thread::JoinHandle;

use enarx_host_simulator::sgx::enclave::{
    Builder, Enclave as SimulatedEnclave, LeafError, SgxEnclaveRun,
};
use enarx_host_simulator::sgx::{Machine, Processor};
use enarx_wire_launch::sgx::{Secs, Section, Sigstruct};
use enarx_wire_launch::{Content, PAGE_SIZE};

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
    let machine = Arc::new(machine);
    let quoting = Arc::clone(&machine);
    let builder = SimulatedBuilder {
        processor,
        fast: simulated.fast,
        builder: None,
        preparation: std::thread::spawn(move || quoting.prepare()),
        own_file: OwnFile::open().map_err(|error| format!("this program's file: {error}"))?,
    };
    Ok((Box::new(builder), Some(Box::new(SimulatedQuoting(machine)))))
}

struct SimulatedBuilder {
    processor: Processor,
    fast: bool,
    /// From ECREATE on.
    builder: Option<Builder>,
    /// The quoting enclave starts while pages are added.
    preparation: JoinHandle<()>,
    own_file: OwnFile,
}

impl EnclaveBuilder for SimulatedBuilder {
    fn create(&mut self, secs: Secs) -> io::Result<()> {
        self.builder = Some(Builder::create(&secs.encode()).map_err(refused)?);
        Ok(())
    }

    fn add(&mut self, section: &Section<'_>) -> io::Result<()> {
        let builder = self.builder.as_mut().ok_or(io::ErrorKind::InvalidInput)?;
        let info = section.info.encode();
        let mapped = match &section.content {
            Content::Bytes { bytes, lead } if !section.measured => self.own_file.find(bytes, *lead),
            _ => None,
        };
        let Mapped { pages, position } = mapped.unwrap_or_default();
        let offset_of = |index| section.offset + index * PAGE_SIZE as u64;
        let copy = |builder: &mut Builder, pages: Range<u64>| {
            for index in pages {
                let offset = offset_of(index);
                builder.add(offset, &info, &section.page(index))?;
                if section.measured {
                    builder.extend(offset)?;
                }
            }
            Ok(())
        };
        // In their order, which is measured.
        copy(builder, 0..pages.start).map_err(refused)?;
        if !pages.is_empty() {
            let (offset, count) = (offset_of(pages.start), pages.end - pages.start);
            let file = self.own_file.file.as_fd();
            builder
                .add_from_file(offset, &info, count, file, position)
                .map_err(refused)?;
        }
        copy(builder, pages.end..section.pages).map_err(refused)
    }

    fn initialize(self: Box<Self>, sigstruct: &Sigstruct) -> io::Result<Box<dyn Enclave>> {
        // The process is confined next, and then has no threads but the Keep's.
        let _ = self.preparation.join();
        let builder = self.builder.ok_or(io::ErrorKind::InvalidInput)?;
        let builder = if self.fast { builder.fast() } else { builder };
        let enclave = builder
            .init(sigstruct.as_bytes(), Box::new(self.processor))
            .map_err(io::Error::other)?;
        Ok(Box::new(Simulated(enclave)))
    }
}

/// This program's file, in which the Keep image lies: what is added from there need not be copied.
struct OwnFile {
    file: File,
    /// Where it is mapped, and what of it.
    mappings: Vec<(Range<u64>, u64)>,
}

/// Pages of a section that lie in a file.
#[derive(Default)]
struct Mapped {
    /// Which ones.
    pages: Range<u64>,
    /// Where the first lies.
    position: u64,
}

impl OwnFile {
    fn open() -> io::Result<Self> {
        const PATH: &str = "/proc/self/exe";
        let (file, name) = (File::open(PATH)?, std::fs::read_link(PATH)?);
        let name = name.to_string_lossy();
        let maps = std::fs::read_to_string("/proc/self/maps")?;
        // Of what was relocated the file has other bytes. No image is, and the shim would refuse it.
        let own = maps.lines().filter(|line| line.ends_with(&*name));
        let mappings = own.filter_map(|line| {
            let mut fields = line.split_whitespace();
            let (start, end) = fields.next()?.split_once('-')?;
            let is_read_only = fields.next()?.starts_with("r-");
            let number = |text| u64::from_str_radix(text, 16).ok();
            let position = number(fields.next()?)?;
            is_read_only.then_some((number(start)?..number(end)?, position))
        });
        Ok(Self {
            file,
            mappings: mappings.collect(),
        })
    }

    /// The whole pages of `bytes`, which begin `lead` bytes behind a page's begin, that lie in the
    /// file as they do in memory.
    fn find(&self, bytes: &[u8], lead: usize) -> Option<Mapped> {
        let page = PAGE_SIZE as u64;
        let first = u64::from(lead != 0);
        let pages = first..(bytes.len() + lead) as u64 / page;
        let start = (bytes.as_ptr().addr() as u64 + first * page).checked_sub(lead as u64)?;
        let end = start + pages.end.checked_sub(first)? * page;
        let mut mappings = self.mappings.iter();
        let (range, position) =
            mappings.find(|(range, _)| range.start <= start && end <= range.end)?;
        start.is_multiple_of(page).then(|| Mapped {
            pages,
            position: position + (start - range.start),
        })
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

struct SimulatedQuoting(Arc<Machine>);

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
