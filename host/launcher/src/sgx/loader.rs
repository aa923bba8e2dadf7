//! From a list of pages to an enclave.

use std::io;

use enarx_wire_launch::sgx::{Attributes, EnclavePages, Secs, Sigstruct, layout};

use super::enclave::{Enclave, EnclaveBuilder};

/// Makes an enclave of `pages`.
///
/// # Errors
///
/// [`LoadError`] names the instruction that failed.
pub(super) fn load(
    mut builder: Box<dyn EnclaveBuilder>,
    pages: &EnclavePages<'_>,
    attributes: Attributes,
    config_id: [u8; 64],
    sigstruct: &Sigstruct,
) -> Result<Box<dyn Enclave>, LoadError> {
    builder
        .create(Secs {
            base: layout::BASE,
            attributes,
            config_id,
        })
        .map_err(LoadError::Create)?;
    for section in pages.sections() {
        builder.add(section).map_err(|source| LoadError::Add {
            offset: section.offset,
            source,
        })?;
    }
    builder.initialize(sigstruct).map_err(LoadError::Initialize)
}

/// Why an enclave was not made.
#[derive(Debug, thiserror::Error)]
pub(super) enum LoadError {
    #[error(
        "the enclave's range of addresses could not be made (ECREATE): {0}; lift limits on address space (ulimit -v)"
    )]
    Create(#[source] io::Error),
    #[error(
        "pages of the enclave at offset {offset:#x} could not be added (EADD): {source}; there may be too little enclave memory, which the firmware sets aside"
    )]
    Add { offset: u64, source: io::Error },
    #[error(
        "the enclave was refused (EINIT): {0}; its signature is not about this enclave or the processor does not have what it asks for"
    )]
    Initialize(#[source] io::Error),
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use enarx_wire_launch::PAGE_SIZE;
    use enarx_wire_launch::sgx::{
        EnclaveStatement, Measurement, Section, SigningDate, SigstructSignature,
    };

    use super::super::test_image::{OPTIONS, TestImage};
    use super::*;

    /// MRENCLAVE and CONFIGID.
    type Finished = ([u8; 32], [u8; 64]);

    /// Measures what it is given, and fails where it is told to.
    struct Recorder {
        measurement: Option<Measurement>,
        config_id: [u8; 64],
        fail_at: Option<u64>,
        finished: Arc<Mutex<Option<Finished>>>,
    }

    impl EnclaveBuilder for Recorder {
        fn create(&mut self, secs: Secs) -> io::Result<()> {
            self.measurement = Some(Measurement::create());
            self.config_id = secs.config_id;
            Ok(())
        }

        fn add(&mut self, section: &Section<'_>) -> io::Result<()> {
            if self.fail_at == Some(section.offset) {
                return Err(io::ErrorKind::OutOfMemory.into());
            }
            let measurement = self.measurement.as_mut().unwrap();
            for index in 0..section.pages {
                let offset = section.offset + index * PAGE_SIZE as u64;
                measurement.add(offset, section.info);
                if section.measured {
                    measurement.extend(offset, &section.page(index));
                }
            }
            Ok(())
        }

        fn initialize(self: Box<Self>, _: &Sigstruct) -> io::Result<Box<dyn Enclave>> {
            let measurement = self.measurement.unwrap().finish();
            *self.finished.lock().unwrap() = Some((measurement, self.config_id));
            Err(io::ErrorKind::Unsupported.into())
        }
    }

    #[test]
    fn what_is_loaded_is_what_is_measured_and_failures_say_where() {
        let image = TestImage::new();
        let image = image.keep_image();
        let pages = EnclavePages::new(&image, OPTIONS).unwrap();
        let number = [1; 384];
        let sigstruct = EnclaveStatement::of_keep(pages.measure(), false, SigningDate::EPOCH)
            .assemble(&SigstructSignature {
                modulus: number,
                signature: number,
                q1: number,
                q2: number,
            });
        let finished = Arc::new(Mutex::new(None));
        let load_with = |fail_at| {
            let recorder = Recorder {
                measurement: None,
                config_id: [0; 64],
                fail_at,
                finished: Arc::clone(&finished),
            };
            let attributes = Attributes::of_keep(false);
            let loaded = load(Box::new(recorder), &pages, attributes, [5; 64], &sigstruct);
            loaded.err().unwrap()
        };
        assert!(matches!(load_with(None), LoadError::Initialize(_)));
        let seen = finished.lock().unwrap().take();
        assert_eq!(seen, Some((pages.measure(), [5; 64])));
        let offset = pages.sections()[2].offset;
        assert!(matches!(
            load_with(Some(offset)),
            LoadError::Add { offset: failed, .. } if failed == offset
        ));
    }
}
