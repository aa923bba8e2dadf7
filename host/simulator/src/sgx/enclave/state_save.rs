//! SSA frames: where an enclave's state is kept while it is interrupted.
//!
//! ```text
//! frame + 0                      XSAVE image, standard format, of XFRM's components
//! frame + size - 184 - 16        EXINFO, if MISCSELECT has it
//! frame + size - 184             GPRSGX
//! ```

use super::page::PAGE_SIZE;
use super::secs::EXINFO;

/// Size of GPRSGX in bytes (SDM volume 3D, 38.9.1).
pub(super) const GENERAL_SIZE: usize = 184;
/// Size of EXINFO in bytes (38.9.2.1).
pub(super) const EXINFO_SIZE: usize = 16;

/// Size of the part of an XSAVE image that every image has (SDM volume 1, 13.4).
pub(super) const XSAVE_BASIC_SIZE: usize = 576;
/// Size of a standard-format image with the upper halves of YMM0 to YMM15.
pub(super) const XSAVE_SIZE: usize = XSAVE_BASIC_SIZE + 256;
/// AVX in XFRM, XCR0 and XSTATE_BV.
const AVX: u64 = 1 << 2;

/// Size of the XSAVE image for `xfrm` in bytes.
pub(super) fn xsave_size(xfrm: u64) -> usize {
    if xfrm & AVX == 0 {
        XSAVE_BASIC_SIZE
    } else {
        XSAVE_SIZE
    }
}

/// The least that SSAFRAMESIZE must allow for, in bytes.
pub(super) fn smallest_frame(xfrm: u64, misc_select: u32) -> u64 {
    let misc = if misc_select & EXINFO == 0 {
        0
    } else {
        EXINFO_SIZE
    };
    (xsave_size(xfrm) + misc + GENERAL_SIZE) as u64
}

/// Where the parts of one frame are, as offsets in the enclave.
#[derive(Clone, Copy)]
pub(super) struct Frame {
    pub start: u64,
    pub end: u64,
}

impl Frame {
    /// Frame number `index`; `None` if it is not in the enclave of `enclave_size` bytes.
    pub(super) fn locate(
        ossa: u64,
        frame_pages: u32,
        index: u32,
        enclave_size: u64,
    ) -> Option<Self> {
        let size = u64::from(frame_pages) * PAGE_SIZE as u64;
        let start = ossa.checked_add(size.checked_mul(u64::from(index))?)?;
        let end = start.checked_add(size)?;
        (end <= enclave_size).then_some(Self { start, end })
    }

    pub(super) fn general(self) -> u64 {
        self.end - GENERAL_SIZE as u64
    }

    pub(super) fn exinfo(self) -> u64 {
        self.general() - EXINFO_SIZE as u64
    }

    pub(super) fn pages(self) -> impl Iterator<Item = u64> {
        (self.start..self.end).step_by(PAGE_SIZE)
    }
}

/// GPRSGX.
#[derive(Clone, Copy, Default)]
pub(super) struct General {
    /// RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8 to R15: in the order of their numbers.
    pub registers: [u64; 16],
    pub rflags: u64,
    pub rip: u64,
    /// The untrusted RSP.
    pub ursp: u64,
    /// The untrusted RBP.
    pub urbp: u64,
    pub exit_info: u32,
    pub fs_base: u64,
    pub gs_base: u64,
}

impl General {
    /// Offset of URSP within GPRSGX; URBP follows it.
    pub(super) const URSP: u64 = 144;

    pub(super) fn parse(bytes: &[u8; GENERAL_SIZE]) -> Self {
        let word = |index: usize| super::bytes::u64_at(bytes, 8 * index);
        Self {
            registers: std::array::from_fn(word),
            rflags: word(16),
            rip: word(17),
            ursp: word(18),
            urbp: word(19),
            exit_info: word(20) as u32,
            fs_base: word(21),
            gs_base: word(22),
        }
    }

    pub(super) fn to_bytes(self) -> [u8; GENERAL_SIZE] {
        let words = self.registers.into_iter().chain([
            self.rflags,
            self.rip,
            self.ursp,
            self.urbp,
            u64::from(self.exit_info),
            self.fs_base,
            self.gs_base,
        ]);
        let mut bytes = [0; GENERAL_SIZE];
        for (field, word) in bytes.chunks_exact_mut(8).zip(words) {
            field.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }
}

/// An XSAVE image in standard format.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct XsaveImage(pub [u8; XSAVE_SIZE]);

const FCW: usize = 0;
const MXCSR: usize = 24;
const SOFTWARE_RESERVED: std::ops::Range<usize> = 464..512;
const XSTATE_BV: usize = 512;
const HEADER_REST: std::ops::Range<usize> = 520..576;

const INITIAL_FCW: u16 = 0x37f;
const INITIAL_MXCSR: u32 = 0x1f80;
/// The bits of MXCSR that every processor with SSE2 has.
const MXCSR_BITS: u32 = 0xffff;

impl XsaveImage {
    /// The part of a signal frame's image that an enclave with `xfrm` has.
    ///
    /// `signal_image` starts like a standard-format image; the kernel keeps notes of its own
    /// in bytes that the format leaves to software.
    pub(super) fn of_interrupted(signal_image: &[u8; XSAVE_SIZE], xfrm: u64) -> Self {
        let mut image = *signal_image;
        image[SOFTWARE_RESERVED].fill(0);
        image[HEADER_REST].fill(0);
        let present = super::bytes::u64_at(&image, XSTATE_BV) & xfrm;
        image[XSTATE_BV..XSTATE_BV + 8].copy_from_slice(&present.to_le_bytes());
        if present & AVX == 0 {
            image[XSAVE_BASIC_SIZE..].fill(0);
        }
        Self(image)
    }

    /// Makes the state of `xfrm`'s components in a signal frame what it is after an
    /// asynchronous exit: the initial one.
    pub(super) fn initialise(signal_image: &mut [u8; XSAVE_SIZE], xfrm: u64) {
        let present = super::bytes::u64_at(signal_image, XSTATE_BV) & !xfrm;
        signal_image[XSTATE_BV..XSTATE_BV + 8].copy_from_slice(&present.to_le_bytes());
        // XRSTOR loads MXCSR from memory even if the header says that SSE is in its
        // initial state.
        signal_image[MXCSR..MXCSR + 4].copy_from_slice(&INITIAL_MXCSR.to_le_bytes());
        signal_image[FCW..FCW + 2].copy_from_slice(&INITIAL_FCW.to_le_bytes());
    }

    /// Whether XRSTOR with `xfrm` takes it without raising an exception (SDM
    /// volume 1, 13.8).
    pub(super) fn is_restorable(&self, xfrm: u64) -> bool {
        let mxcsr = super::bytes::u32_at(&self.0, MXCSR);
        super::bytes::u64_at(&self.0, XSTATE_BV) & !xfrm == 0
            && super::bytes::is_zero(&self.0[HEADER_REST])
            && mxcsr & !MXCSR_BITS == 0
    }
}
