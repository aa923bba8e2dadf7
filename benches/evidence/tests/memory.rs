//! How much memory a verification takes: of real evidence, and of what is made to take much.

use std::fs;

use enarx_evidence_benches::vectors;
use enarx_owner_evidence::{
    UnixTime, azure, cca,
    event_log::EventLog,
    materials::{Materials, Roots},
    nitro,
};
use peak_alloc::PeakAlloc;
use serde_json::Value;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

const MEBIBYTE: usize = 1 << 20;
const LIMIT: usize = 8 * MEBIBYTE;

/// By how much the heap grows at most during `verify`, the files themselves left out.
fn growth<T>(verify: impl FnOnce() -> T) -> usize {
    ALLOCATOR.reset_peak_usage();
    let before = ALLOCATOR.current_usage();
    let result = verify();
    let peak = ALLOCATOR.peak_usage();
    drop(result);
    peak.saturating_sub(before)
}

/// One test, since others beside it would be counted too.
#[test]
fn no_verification_takes_more_than_its_share() {
    let mut largest = (0, String::new());
    let mut see = |what: &str, bytes: usize| {
        assert!(bytes < LIMIT, "{what}: {bytes} bytes");
        if bytes > largest.0 {
            largest = (bytes, what.to_owned());
        }
    };
    let now = UnixTime(1_800_000_000);
    let add = |file: &[u8]| {
        growth(|| {
            let mut materials = Materials::default();
            let _ = materials.add(file);
            materials.verify(&Roots::genuine(), now).map(drop)
        })
    };
    for size in [64 << 10, 256 << 10, MEBIBYTE, 2 * MEBIBYTE] {
        see(
            "a list in JSON",
            add(format!("[{}0]", "0,".repeat(size / 2)).as_bytes()),
        );
        let object = format!(
            "{{\"hcl_report\":[{}0],\"tpm_quote\":0}}",
            "0,".repeat(size / 2 - 64)
        );
        see("an object in JSON", add(object.as_bytes()));
        see(
            "vTPM evidence",
            growth(|| azure::Evidence::parse(object.as_bytes()).map(drop)),
        );
        let nulls = [
            &[0xd9, 0x01, 0x8f, 0x9b, 0, 0, 0, 0, 0][..],
            &vec![0xf6; size],
        ]
        .concat();
        let none: [cca::PlatformKey<enarx_owner_evidence::Genuine>; 0] = [];
        see(
            "a CCA token",
            growth(|| cca::verify(&nulls, &none).map(drop)),
        );
        see(
            "a Nitro document",
            growth(|| nitro::verify(&nulls[3..], &nitro::GenuineRoots, now).map(drop)),
        );
        see(
            "an event log",
            growth(|| EventLog::parse(&event_log(size)).map(drop)),
        );
        see("hexadecimal", add("30".repeat(size / 2).as_bytes()));
        see(
            "PEM",
            add("-----BEGIN CERTIFICATE-----AAAA-----END "
                .repeat(size / 40)
                .as_bytes()),
        );
    }
    println!(
        "made to take much: at most {} KiB, for {}",
        largest.0 >> 10,
        largest.1
    );

    let Some(vectors) = vectors() else {
        return;
    };
    let text = fs::read(vectors.join("cases.json")).unwrap();
    let cases: Value = serde_json::from_slice(&text).unwrap();
    drop(text);
    let mut largest = (0, String::new());
    for case in cases["cases"].as_array().unwrap() {
        let mut materials = Materials::default();
        for path in case["files"].as_object().unwrap().values() {
            let _ = materials.add(&fs::read(vectors.join(path.as_str().unwrap())).unwrap());
        }
        let bytes = growth(|| materials.verify(&Roots::genuine(), now).map(drop));
        assert!(bytes < LIMIT, "{}: {bytes} bytes", case["id"]);
        largest = largest.max((bytes, case["id"].to_string()));
    }
    println!(
        "real evidence: at most {} KiB, for {}",
        largest.0 >> 10,
        largest.1
    );

    // Beside real evidence, what is meant to be looked at for it.
    let mut largest = (0, String::new());
    let snp = ["snp/oak/genoa-v5.report.bin", "snp/oak/genoa-v5.vcek.der"];
    let tdx = [
        "tdx/dcap-qvl/tdx_quote-f1c85033.quote.bin",
        "intel-collateral/share/tcbinfo-TDX-b0c06f000000-v3-eval17-20250619-49ce05.json",
        "intel-collateral/share/TD_QE-identity-eval17-20250619-cefb59.json",
        "intel-collateral/share/crl-plat-20250619-e583e9.der",
        "intel-collateral/share/crl-root-20250320-ad6f3f.der",
        "intel-collateral/share/tcb-signing-20250506-c0575e.der",
        "intel-collateral/share/intel-sgx-root-ca.der",
    ];
    // 2026-11-18 and 2025-07-04.
    for (files, now) in [(&snp[..], 1_795_000_000), (&tdx[..], 1_751_624_191)] {
        let mut real = Materials::default();
        for file in files {
            real.add(&fs::read(vectors.join(file)).unwrap()).unwrap();
        }
        assert!(real.verify(&Roots::genuine(), UnixTime(now)).is_ok());
        for (what, file) in beside() {
            let mut materials = real.clone();
            let known = materials.add(&file);
            assert!(known.is_ok() || file.len() > 256 << 10, "{what}");
            let bytes = growth(|| materials.verify(&Roots::genuine(), UnixTime(now)).map(drop));
            let what = format!("{what} of {} KiB", file.len() >> 10);
            assert!(bytes < LIMIT, "{what}: {bytes} bytes");
            largest = largest.max((bytes, what));
        }
    }
    println!(
        "beside it: at most {} KiB, for {}",
        largest.0 >> 10,
        largest.1
    );
}

/// Collateral that is made to take much memory.
fn beside() -> Vec<(&'static str, Vec<u8>)> {
    let mut files = Vec::new();
    for size in [
        16 << 10,
        64 << 10,
        200 << 10,
        MEBIBYTE - 1024,
        MEBIBYTE + 1024,
    ] {
        files.push(("a revocation list", revocation_list(size)));
        let numbers = format!("[{}0]", "0,".repeat(size / 2 - 512));
        let texts = format!("[{}\"\"]", "\"\",".repeat(size / 3 - 512));
        let level = |tcb: &str, advisories: &str| {
            format!(
                r#"{{"tcb":{{"pcesvn":1,"x":{tcb}}},"tcbDate":"2026-01-01T00:00:00Z","tcbStatus":"UpToDate","advisoryIDs":{advisories}}}"#
            )
        };
        for level in [level(&numbers, "[]"), level("0", &texts)] {
            let tcb_info = format!(
                r#"{{"tcbInfo":{{"id":"TDX","version":3,"issueDate":"2025-06-30T00:00:00Z","nextUpdate":"2028-01-01T00:00:00Z","fmspc":"b0c06f000000","pceId":"0000","tcbType":0,"tcbEvaluationDataNumber":1,"tcbLevels":[{level}]}},"signature":"{}"}}"#,
                "00".repeat(64)
            );
            files.push(("TCB info", tcb_info.into_bytes()));
        }
    }
    files
}

/// A list of nobody's with as many entries as go into so many bytes.
fn revocation_list(size: usize) -> Vec<u8> {
    let entry = [&[0x30, 18, 0x02, 1, 1, 0x17, 13][..], b"270101000000Z"].concat();
    let entries = entry.repeat((size - 64) / entry.len());
    let signed = [
        &[0x30, 10, 0x06, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2][..],
        &[0x30, 0],
        &[0x17, 13],
        b"270101000000Z",
        &[0x17, 13],
        b"280101000000Z",
        &sequence(&entries),
    ]
    .concat();
    let signature = [0x03, 2, 0, 0];
    sequence(
        &[
            &sequence(&[&[2, 1, 1][..], &signed].concat())[..],
            &signed[..12],
            &signature,
        ]
        .concat(),
    )
}

fn sequence(contents: &[u8]) -> Vec<u8> {
    let length = u32::try_from(contents.len()).unwrap().to_be_bytes();
    let length = match length {
        [_, 0, high, low] => vec![0x82, high, low],
        [_, high, middle, low] => vec![0x83, high, middle, low],
    };
    [&[0x30][..], &length, contents].concat()
}

/// As many events as go into so many bytes, without digests.
fn event_log(size: usize) -> Vec<u8> {
    let event = [&[0; 4][..], &[3, 0, 0, 0], &[0; 4], &[0; 4]].concat();
    let header = [
        &[0; 4][..],
        &[3, 0, 0, 0],
        &[0; 20],
        &33_u32.to_le_bytes(),
        b"Spec ID Event03\0",
        &[0, 0, 0, 0, 0, 2, 0, 2],
        &1_u32.to_le_bytes(),
        &[12, 0, 48, 0],
        &[0],
    ]
    .concat();
    [header, event.repeat(size / 16)].concat()
}
