//! What of SEV-SNP launches both this project and the crate `sev` compute: signatures of processors, and save areas after a reset.

use enarx_wire_launch::{SaveArea, snp_named_signature, snp_signature, vm::SnpProcessors};
use sev::measurement::{
    vcpu_types::{CpuType, cpu_sig},
    vmsa::{GuestFeatures, VMMType, VMSA},
};

const PROCESSORS: [(&str, CpuType); 6] = [
    ("EPYC-v4", CpuType::EpycV4),
    ("EPYC-IBPB", CpuType::EpycIBPB),
    ("EPYC-Rome-v3", CpuType::EpycRomeV3),
    ("EPYC-Milan", CpuType::EpycMilan),
    ("EPYC-Milan-v2", CpuType::EpycMilanV2),
    ("EPYC-Genoa", CpuType::EpycGenoa),
];

#[test]
fn signatures() {
    for (name, processor) in PROCESSORS {
        let expected = u32::try_from(processor.sig()).ok();
        assert_eq!(snp_named_signature(name), expected, "{name}");
    }
    for (family, model, stepping) in [(6, 15, 1), (15, 255, 15), (23, 49, 0), (26, 2, 1)] {
        let expected = cpu_sig(family as i32, model as i32, stepping as i32);
        assert_eq!(
            i64::from(snp_signature(family, model, stepping)),
            i64::from(expected)
        );
    }
}

#[test]
fn save_areas() {
    const RESET: u32 = 0xffff_fff0;
    const OTHERS: u32 = 0x0080_b004;
    for (_, processor) in PROCESSORS {
        // SEV-SNP and nothing else.
        let features = GuestFeatures::default();
        let theirs = VMSA::new(OTHERS.into(), processor, VMMType::QEMU, None, features);
        let pages = theirs.pages(2).unwrap();
        let signature = processor.sig() as u32;
        for (page, start) in pages.iter().zip([RESET, OTHERS]) {
            let ours = SaveArea::at_reset(start, signature, SnpProcessors::SNP_ACTIVE);
            assert!(*page == ours.encode(), "{start:#x}");
        }
    }
}
