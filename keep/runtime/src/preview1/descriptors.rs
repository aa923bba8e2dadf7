//! What the numbers of a program's descriptors mean.

use std::{collections::BTreeMap, task::Context};

use enarx_wire_package::{Descriptor, DescriptorKind, Manifest};
use wasmtime_wasi::p1::types::{Errno, Fd};

use crate::network::{Connection, Listener, Network, NetworkError};

/// What stands behind a descriptor of the program's.
pub enum Target {
    /// Standard input, which wasmtime has too.
    Stdin,
    /// The descriptor of wasmtime's that has this number. One that is closed gives its number to
    /// the next file.
    Wasi(u32),
    /// Nothing: reads end, writes vanish.
    Null,
    /// A socket that listens.
    Listener(Listener),
    /// A connection.
    Connection(Connection),
}

/// The descriptors of a program.
pub enum Descriptors {
    /// All are wasmtime's, under its own numbers.
    Plain,
    /// The program begins with others.
    Numbered(BTreeMap<u32, Target>),
}

impl Target {
    /// The number that wasmtime has for it, if it is wasmtime's.
    pub const fn wasi(&self) -> Option<u32> {
        match self {
            Self::Stdin => Some(STDIN),
            Self::Wasi(number) => Some(*number),
            Self::Null | Self::Listener(_) | Self::Connection(_) => None,
        }
    }
}

/// wasmtime's numbers: of the standard streams, and of the directory behind them.
const STDIN: u32 = 0;
const STDOUT: u32 = 1;
const STDERR: u32 = 2;
pub const ROOT: u32 = 3;

/// Descriptors that a program may have at a time; fewer than the system gives the Keep.
const MOST: usize = 1900;

impl Descriptors {
    /// The descriptors that the manifest asks for, and behind them the root directory if
    /// there is one. Listens and connects; `listening` is told where.
    ///
    /// # Errors
    ///
    /// [`NetworkError`] names the socket that cannot be had.
    pub async fn open(
        manifest: &Manifest,
        has_root: bool,
        network: &Network,
        mut listening: impl FnMut(&Descriptor, &Listener),
    ) -> Result<Self, NetworkError> {
        if is_plain(&manifest.descriptors) {
            return Ok(Self::Plain);
        }
        let mut targets = BTreeMap::new();
        for (number, descriptor) in (0..).zip(&manifest.descriptors) {
            let target = match &descriptor.kind {
                DescriptorKind::Null => Target::Null,
                DescriptorKind::Stdin => Target::Stdin,
                DescriptorKind::Stdout => Target::Wasi(STDOUT),
                DescriptorKind::Stderr => Target::Wasi(STDERR),
                DescriptorKind::Listen(endpoint) => {
                    let listener = network.listen(endpoint)?;
                    listening(descriptor, &listener);
                    Target::Listener(listener)
                }
                DescriptorKind::Connect(endpoint) => {
                    Target::Connection(network.connect(endpoint).await?)
                }
            };
            targets.insert(number, target);
        }
        for number in 0..ROOT {
            targets.entry(number).or_insert(Target::Null);
        }
        if has_root {
            let behind = u32::try_from(targets.len()).unwrap_or(u32::MAX);
            targets.insert(behind, Target::Wasi(ROOT));
        }
        Ok(Self::Numbered(targets))
    }

    /// The number that wasmtime has for a descriptor.
    ///
    /// # Errors
    ///
    /// [`Errno::Badf`] when there is no such descriptor, [`Errno::Notsup`] when it is not
    /// wasmtime's.
    pub fn wasi(&mut self, descriptor: Fd) -> Result<Fd, Errno> {
        match self.get(descriptor)? {
            None => Ok(descriptor),
            Some(target) => target.wasi().map(Fd::from).ok_or(Errno::Notsup),
        }
    }

    /// What stands behind a descriptor; `None` where that is wasmtime's own matter.
    ///
    /// # Errors
    ///
    /// [`Errno::Badf`] when there is no such descriptor.
    pub fn get(&mut self, descriptor: Fd) -> Result<Option<&mut Target>, Errno> {
        match self {
            Self::Plain => Ok(None),
            Self::Numbered(targets) => {
                let target = targets.get_mut(&descriptor.into());
                target.map(Some).ok_or(Errno::Badf)
            }
        }
    }

    /// A connection.
    ///
    /// # Errors
    ///
    /// What a program is told about a descriptor that is none.
    pub fn connection(&mut self, descriptor: Fd) -> Result<&mut Connection, Errno> {
        match self.get(descriptor)? {
            Some(Target::Connection(connection)) => Ok(connection),
            Some(Target::Listener(_)) => Err(Errno::Notconn),
            Some(Target::Null | Target::Stdin | Target::Wasi(_)) | None => Err(Errno::Notsock),
        }
    }

    /// A socket that listens.
    ///
    /// # Errors
    ///
    /// What a program is told about a descriptor that is none.
    pub fn listener(&mut self, descriptor: Fd) -> Result<&mut Listener, Errno> {
        match self.get(descriptor)? {
            Some(Target::Listener(listener)) => Ok(listener),
            Some(Target::Connection(_)) => Err(Errno::Inval),
            Some(Target::Null | Target::Stdin | Target::Wasi(_)) | None => Err(Errno::Notsock),
        }
    }

    /// Goes on sending what waits inside connections.
    pub fn poll_flush(&mut self, context: &mut Context<'_>) {
        if let Self::Numbered(targets) = self {
            for target in targets.values_mut() {
                if let Target::Connection(connection) = target {
                    // An error is for the program's next operation to find.
                    let _ = connection.poll_flush(context);
                }
            }
        }
    }

    /// Gives `target` the lowest free number.
    ///
    /// # Errors
    ///
    /// [`Errno::Mfile`] when there are too many.
    pub fn insert(&mut self, target: Target) -> Result<Fd, Errno> {
        let targets = match self {
            Self::Plain => match target {
                Target::Wasi(number) => return Ok(number.into()),
                _ => return Err(Errno::Notsup),
            },
            Self::Numbered(targets) => targets,
        };
        if targets.len() >= MOST {
            return Err(Errno::Mfile);
        }
        let mut free = 0;
        for number in targets.keys() {
            if *number != free {
                break;
            }
            free += 1;
        }
        targets.insert(free, target);
        Ok(free.into())
    }

    /// Takes a descriptor away; `None` where that is wasmtime's own matter, or another
    /// descriptor stands for the same thing.
    ///
    /// # Errors
    ///
    /// [`Errno::Badf`] when there is no such descriptor.
    pub fn remove(&mut self, descriptor: Fd) -> Result<Option<Target>, Errno> {
        let Self::Numbered(targets) = self else {
            return Ok(Some(Target::Wasi(descriptor.into())));
        };
        let target = targets.remove(&descriptor.into()).ok_or(Errno::Badf)?;
        let number = target.wasi();
        let is_shared = number.is_some() && targets.values().any(|other| other.wasi() == number);
        Ok((!is_shared).then_some(target))
    }

    /// Gives what stands behind `from` the number `to`; what stood there is returned as by
    /// [`Descriptors::remove`].
    ///
    /// # Errors
    ///
    /// [`Errno::Badf`] when one of them does not exist.
    pub fn renumber(&mut self, from: Fd, to: Fd) -> Result<Option<Target>, Errno> {
        self.get(from)?;
        self.get(to)?;
        if from == to {
            return Ok(None);
        }
        let replaced = self.remove(to)?;
        if let Self::Numbered(targets) = self
            && let Some(moved) = targets.remove(&from.into())
        {
            targets.insert(to.into(), moved);
        }
        Ok(replaced)
    }
}

/// Whether wasmtime's own numbers are the program's: 0 is its input, 1 and 2 are output,
/// and nothing follows but the root directory.
pub fn is_plain(descriptors: &[Descriptor]) -> bool {
    descriptors.len() <= 3
        && (descriptors.iter().enumerate()).all(|(number, descriptor)| {
            matches!(
                (number, &descriptor.kind),
                (_, DescriptorKind::Null)
                    | (0, DescriptorKind::Stdin)
                    | (1 | 2, DescriptorKind::Stdout | DescriptorKind::Stderr)
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbered(targets: impl IntoIterator<Item = (u32, Target)>) -> Descriptors {
        Descriptors::Numbered(targets.into_iter().collect())
    }

    #[test]
    fn numbers_are_the_lowest_free_ones() {
        let mut descriptors =
            numbered([(0, Target::Null), (1, Target::Wasi(1)), (3, Target::Null)]);
        assert_eq!(descriptors.insert(Target::Wasi(7)), Ok(Fd::from(2u32)));
        assert_eq!(descriptors.insert(Target::Wasi(8)), Ok(Fd::from(4u32)));
        assert_eq!(descriptors.wasi(Fd::from(4u32)), Ok(Fd::from(8u32)));
        assert_eq!(descriptors.wasi(Fd::from(0u32)), Err(Errno::Notsup));
        assert_eq!(descriptors.wasi(Fd::from(5u32)), Err(Errno::Badf));
        while descriptors.insert(Target::Null).is_ok() {}
        assert_eq!(descriptors.insert(Target::Null), Err(Errno::Mfile));
    }

    #[test]
    fn what_has_two_numbers_is_closed_with_the_last() {
        let mut descriptors = numbered([(1, Target::Wasi(1)), (4, Target::Wasi(1))]);
        assert!(descriptors.remove(Fd::from(1u32)).unwrap().is_none());
        let last = descriptors.remove(Fd::from(4u32)).unwrap();
        assert!(matches!(last, Some(Target::Wasi(1))));
        assert!(matches!(
            descriptors.remove(Fd::from(4u32)),
            Err(Errno::Badf)
        ));
    }

    #[test]
    fn renumbering_replaces() {
        let mut descriptors = numbered([(1, Target::Wasi(1)), (4, Target::Wasi(9))]);
        let replaced = descriptors
            .renumber(Fd::from(4u32), Fd::from(1u32))
            .unwrap();
        assert!(matches!(replaced, Some(Target::Wasi(1))));
        assert_eq!(descriptors.wasi(Fd::from(1u32)), Ok(Fd::from(9u32)));
        assert_eq!(descriptors.wasi(Fd::from(4u32)), Err(Errno::Badf));
        assert!(descriptors.renumber(Fd::from(1u32), Fd::from(1u32)).is_ok());
        assert!(
            descriptors
                .renumber(Fd::from(1u32), Fd::from(2u32))
                .is_err()
        );
    }

    #[test]
    fn a_file_with_the_number_of_closed_input_is_a_file() {
        let mut descriptors = numbered([(0, Target::Stdin), (1, Target::Stdin)]);
        assert!(descriptors.remove(Fd::from(0u32)).unwrap().is_none());
        let last = descriptors.remove(Fd::from(1u32)).unwrap();
        assert!(matches!(last, Some(Target::Stdin)));
        let file = descriptors.insert(Target::Wasi(STDIN)).unwrap();
        assert!(matches!(
            descriptors.get(file),
            Ok(Some(Target::Wasi(STDIN)))
        ));
    }
}
