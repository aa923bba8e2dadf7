//! What can be chosen about a virtual machine of a TEE.

use clap::Args;
use enarx_wire_launch::{
    ElfError, KeepImage, KeepMemory, Platform, snp_named_signature, snp_signature,
    vm::{GuestPages, SnpProcessors, layout},
};

use crate::failure::Advice;

/// What shows in a machine's measurement beside its image and memory.
#[derive(Debug, Args)]
#[command(next_help_heading = "SEV-SNP and TDX machines")]
pub struct MachineArguments {
    /// Virtual processors of the machine; a host starts Keeps with 8
    #[arg(
        long,
        value_name = "NUMBER",
        value_parser = clap::value_parser!(u32).range(1..=i64::from(layout::PROCESSORS)),
        default_value_t = layout::PROCESSORS
    )]
    vcpus: u32,

    /// The processor whose signature they start with in RDX
    ///
    /// QEMU's name for it, such as `EPYC-Milan`, or `FAMILY:MODEL:STEPPING` in decimal, such
    /// as `25:1:1`. Other monitors put the signature there; enarx starts processors without
    /// one, so that a Keep measures the same on all of them.
    #[arg(long, value_name = "PROCESSOR", value_parser = parse_signature)]
    vcpu_type: Option<u32>,

    /// Protection of the guest (SEV_FEATURES), in hexadecimal; bit 0 is SEV-SNP
    #[arg(long, value_name = "BITS", value_parser = parse_features, default_value = "0x1")]
    guest_features: u64,

    /// Of a machine whose TEE the host plays, as with `enarx run --simulate`
    #[arg(short, long)]
    simulate: bool,
}

impl MachineArguments {
    /// The launch measurement of a Keep of `image` on `platform`; none if the image has nothing
    /// for virtual machines.
    pub fn measure(
        &self,
        platform: Platform,
        image: &KeepImage<'_>,
        memory: KeepMemory,
    ) -> Option<Vec<u8>> {
        let measure = |pages: GuestPages<'_>| match platform {
            Platform::Snp => pages.snp_launch_digest(&SnpProcessors {
                count: self.vcpus,
                signature: self.vcpu_type.unwrap_or_default(),
                features: self.guest_features,
            }),
            _ => pages.launch_digest(),
        };
        let pages: Result<_, ElfError> = if self.simulate {
            GuestPages::played(platform, image, memory)
        } else {
            GuestPages::new(platform, image, memory)
        };
        pages.ok().map(|pages| measure(pages).to_vec())
    }
}

fn parse_signature(text: &str) -> anyhow::Result<u32> {
    if let Some(signature) = snp_named_signature(text) {
        return Ok(signature);
    }
    let numbers: Vec<u32> = text
        .split(':')
        .map_while(|part| part.parse().ok())
        .collect();
    match numbers[..] {
        [family @ 1..=0x10E, model @ 0..=0xFF, stepping @ 0..=0xF]
            if text.split(':').count() == numbers.len() =>
        {
            Ok(snp_signature(family, model, stepping))
        }
        _ => Err(Advice::error(
            "this is no processor",
            "write one of EPYC, EPYC-Rome, EPYC-Milan, EPYC-Genoa and EPYC-Turin, or \
             FAMILY:MODEL:STEPPING",
        )),
    }
}

fn parse_features(text: &str) -> anyhow::Result<u64> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    match u64::from_str_radix(digits, 16) {
        Ok(features) if features & SnpProcessors::SNP_ACTIVE != 0 => Ok(features),
        Ok(_) => Err(Advice::error(
            "without bit 0 the guest has no SEV-SNP",
            "add 0x1 to the bits",
        )),
        Err(_) => Err(Advice::error(
            "this is no set of bits",
            "write it in hexadecimal, such as 0x21",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors_are_named_or_numbered() {
        for (text, signature) in [
            ("EPYC-v4", 0x0080_0F12),
            ("EPYC-Milan", 0x00A0_0F11),
            ("25:1:1", 0x00A0_0F11),
            ("26:0:0", 0x00B0_0F00),
        ] {
            assert_eq!(parse_signature(text).unwrap(), signature, "{text}");
        }
        for text in [
            "", "Milan", "25", "25:1", "25:1:1:", "25:1:x", "25:256:0", "0:0:0",
        ] {
            assert!(parse_signature(text).is_err(), "{text}");
        }
    }

    #[test]
    fn features_are_bits_with_the_first_one() {
        assert_eq!(parse_features("0x21").unwrap(), 0x21);
        assert_eq!(parse_features("1").unwrap(), 1);
        for text in ["", "0x20", "0x", "-1", "0x1_0000_0000_0000_0000"] {
            assert!(parse_features(text).is_err(), "{text}");
        }
    }
}
