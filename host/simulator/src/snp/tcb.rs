//! The security version numbers of the simulated processor's firmware.

/// A TCB version: the security version numbers of a processor's firmware
/// components, in the layout of Milan and Genoa (56860, table 3, `TCB_VERSION`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcbVersion {
    /// Version of the boot loader.
    pub boot_loader: u8,
    /// Version of the secure processor's operating system.
    pub tee: u8,
    /// Version of the SEV-SNP firmware.
    pub snp: u8,
    /// Lowest patch level of the microcode of all cores.
    pub microcode: u8,
}

impl TcbVersion {
    /// What the simulated processor says of itself: the version that patched
    /// Milan machines report.
    pub const SIMULATED: Self = Self {
        boot_loader: 4,
        tee: 0,
        snp: 24,
        microcode: 219,
    };

    /// The eight bytes of a `TCB_VERSION` as they stand in a report.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 8] {
        [
            self.boot_loader,
            self.tee,
            0,
            0,
            0,
            0,
            self.snp,
            self.microcode,
        ]
    }
}
