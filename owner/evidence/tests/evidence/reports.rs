//! One thing wrong in a report at a time.

use enarx_owner_evidence::snp::{Report, ReportError};

use crate::mint::{put, report};

fn parse_with(offset: usize, value: &[u8]) -> Result<Report, ReportError> {
    let mut report = report();
    put(&mut report, offset, value);
    Report::parse(&report)
}

#[test]
fn a_proper_report_is_read() {
    let report = Report::parse(&report()).unwrap();
    assert_eq!(report.report_data, [0xd4; 64]);
    assert_eq!(report.measurement, [0x3e; 48]);
    assert_eq!(report.host_data, [0x40; 32]);
    assert!(!report.policy.debug_allowed());
}

#[test]
fn length() {
    for length in [0, 0x2a0, 0x49f, 0x4a1, 1 << 20] {
        assert_eq!(
            Report::parse(&vec![0; length]),
            Err(ReportError::Length { actual: length })
        );
    }
}

#[test]
fn version() {
    for version in [0, 1, 4, 6, u32::MAX] {
        assert_eq!(
            parse_with(0, &version.to_le_bytes()),
            Err(ReportError::Version(version))
        );
    }
}

#[test]
fn vmpl_of_the_guest_only() {
    assert!(parse_with(0x030, &3u32.to_le_bytes()).is_ok());
    for vmpl in [4, u32::MAX] {
        assert_eq!(
            parse_with(0x030, &vmpl.to_le_bytes()),
            Err(ReportError::Vmpl(vmpl))
        );
    }
}

#[test]
fn signature_algorithm() {
    for algorithm in [0, 2] {
        assert_eq!(
            parse_with(0x034, &u32::to_le_bytes(algorithm)),
            Err(ReportError::SignatureAlgorithm(algorithm))
        );
    }
}

#[test]
fn signing_key() {
    for key in 2..7 {
        assert_eq!(
            parse_with(0x048, &[key << 2]),
            Err(ReportError::SigningKey(key))
        );
    }
}

#[test]
fn reserved_fields_are_zero() {
    let fields = [
        (0x048, 0x048),
        (0x049, 0x04b),
        (0x049, 0x04c),
        (0x18b, 0x18b),
        (0x18b, 0x19f),
        (0x1eb, 0x1eb),
        (0x1ef, 0x1ef),
        (0x1f8, 0x1f8),
        (0x1f8, 0x29f),
        (0x330, 0x330),
        (0x330, 0x49f),
    ];
    for (offset, byte) in fields {
        assert_eq!(
            parse_with(byte, &[0x80]),
            Err(ReportError::Reserved { offset }),
            "byte {byte:#x}"
        );
    }
}

#[test]
fn reserved_bits_of_the_policy() {
    for policy in [0, 1 << 17 | 1 << 26, 1 << 17 | 1 << 63] {
        assert_eq!(
            parse_with(0x008, &u64::to_le_bytes(policy)),
            Err(ReportError::Reserved { offset: 0x008 })
        );
    }
}

#[test]
fn reserved_bits_of_the_platform() {
    assert!(parse_with(0x040, &[0xff]).is_ok());
    assert_eq!(
        parse_with(0x041, &[1]),
        Err(ReportError::Reserved { offset: 0x040 })
    );
}

#[test]
fn what_is_reserved_follows_the_version() {
    let mut version_2 = report();
    put(&mut version_2, 0, &2u32.to_le_bytes());
    assert_eq!(
        Report::parse(&version_2),
        Err(ReportError::Reserved { offset: 0x188 })
    );
    put(&mut version_2, 0x188, &[0; 3]);
    assert_eq!(Report::parse(&version_2).unwrap().cpu, None);

    let mut version_5 = report();
    put(&mut version_5, 0, &5u32.to_le_bytes());
    put(&mut version_5, 0x1f8, &9u64.to_le_bytes());
    put(&mut version_5, 0x200, &10u64.to_le_bytes());
    let report = Report::parse(&version_5).unwrap();
    assert_eq!(report.launch_mitigations, Some(9));
    assert_eq!(report.current_mitigations, Some(10));
    put(&mut version_5, 0x208, &[1]);
    assert_eq!(
        Report::parse(&version_5),
        Err(ReportError::Reserved { offset: 0x208 })
    );
}

#[test]
fn signature_halves_fit_48_bytes() {
    for (offset, byte) in [
        (0x2a0, 0x2d0),
        (0x2a0, 0x2e7),
        (0x2e8, 0x318),
        (0x2e8, 0x32f),
    ] {
        assert_eq!(
            parse_with(byte, &[1]),
            Err(ReportError::SignatureRange { offset })
        );
    }
}

#[test]
fn any_bytes_are_refused_without_a_panic() {
    let mut state = 1u64;
    let mut byte = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 56) as u8
    };
    for _ in 0..1_000 {
        let mut noise: Vec<u8> = (0..0x4a0).map(|_| byte()).collect();
        assert!(Report::parse(&noise).is_err());
        put(&mut noise, 0, &3u32.to_le_bytes());
        assert!(Report::parse(&noise).is_err());
    }
}
