//! Pages that the host takes away and gives back: EWB and ELDU (SDM volume 3D, 41.3).
//!
//! What the processor writes out is encrypted and authenticated with its place and its
//! access, under a version that it remembers in a slot of the EPC until the page comes back. So
//! of all that a host can give back, it takes the latest contents at their own place alone.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::rand;

use super::error::LeafError;
use super::page::{PAGE_SIZE, Page, PageType};
use super::{Enclave, Running};

/// A page that lies outside: all that the host has of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PagedOut {
    /// Where it was: an offset in the enclave.
    pub offset: u64,
    /// Its contents, encrypted, and the authentication code behind them.
    pub contents: Vec<u8>,
    flags: u16,
    version: u64,
}

/// The processor's key for paging, and the versions that are out.
pub(super) struct Paging {
    key: LessSafeKey,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    latest: u64,
    /// A version for each page that is out: what the slots of version arrays hold.
    out: BTreeSet<u64>,
}

impl Paging {
    /// With a key of this start's own.
    pub(super) fn start() -> Result<Self, aws_lc_rs::error::Unspecified> {
        let mut key = [0; 16];
        rand::fill(&mut key)?;
        Ok(Self {
            key: LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &key)?),
            state: Mutex::default(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Enclave {
    /// EBLOCK, ETRACK and EWB of the page at `offset`, while no thread is inside.
    ///
    /// # Errors
    ///
    /// [`LeafError::PageFault`] where there is no page of memory.
    pub fn page_out(&self, offset: u64) -> Result<PagedOut, LeafError> {
        let Running { memory, paging, .. } = self.running;
        let pages = memory.pages();
        let page = pages
            .get(offset)
            .filter(|page| page.page_type() == Some(PageType::Regular))
            .ok_or(LeafError::PageFault {
                offset,
                reason: "there is no page of memory",
            })?;
        let mut contents = vec![0; PAGE_SIZE];
        pages
            .read_always(offset, &mut contents)
            .map_err(LeafError::Memory)?;
        let mut state = paging.state();
        state.latest += 1;
        let version = state.latest;
        let flags = page.entry();
        let sealed = paging.key.seal_in_place_append_tag(
            nonce(version),
            Aad::from(bound(offset, flags)),
            &mut contents,
        );
        sealed.map_err(|_| LeafError::GeneralProtection("the page cannot be encrypted"))?;
        pages.remove(offset).map_err(LeafError::Memory)?;
        state.out.insert(version);
        Ok(PagedOut {
            offset,
            contents,
            flags,
            version,
        })
    }

    /// ELDU: takes a page back, to where it says that it was.
    ///
    /// # Errors
    ///
    /// [`LeafError::PageFault`] where there is a page, [`LeafError::MacComparison`] for what is not
    /// the latest contents of this place.
    pub fn page_in(&self, page: &PagedOut) -> Result<(), LeafError> {
        let Running { memory, paging, .. } = self.running;
        let pages = memory.pages();
        let offset = page.offset;
        if !memory.can_have_page(offset) || pages.get(offset).is_some() {
            return Err(LeafError::PageFault {
                offset,
                reason: "there is a page already, or none can be",
            });
        }
        let mut state = paging.state();
        let mut contents = page.contents.clone();
        let opened = paging.key.open_in_place(
            nonce(page.version),
            Aad::from(bound(offset, page.flags)),
            &mut contents,
        );
        let (Ok(opened), true) = (opened, state.out.contains(&page.version)) else {
            return Err(LeafError::MacComparison { offset });
        };
        let entry = Page::from_entry(page.flags).ok_or(LeafError::MacComparison { offset })?;
        pages.write(offset, opened).map_err(LeafError::Memory)?;
        pages.set(offset, entry).map_err(LeafError::Memory)?;
        state.out.remove(&page.version);
        Ok(())
    }
}

/// What the authentication code covers beside the contents.
fn bound(offset: u64, flags: u16) -> [u8; 10] {
    let mut bound = [0; 10];
    bound[..8].copy_from_slice(&offset.to_le_bytes());
    bound[8..].copy_from_slice(&flags.to_le_bytes());
    bound
}

/// No version is used twice.
fn nonce(version: u64) -> Nonce {
    let mut nonce = [0; NONCE_LEN];
    nonce[..8].copy_from_slice(&version.to_le_bytes());
    Nonce::assume_unique_for_key(nonce)
}
