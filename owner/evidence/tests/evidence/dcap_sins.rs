//! Quotes and collateral of a simulated Intel platform, with one thing wrong at a time.

use enarx_owner_evidence::{
    CertificateError, FailureKind, UnixTime,
    dcap::{
        Body, CertificateRole, DocumentError, DocumentRole, Error, Kind, SgxType, SimulatedRoots,
        TcbStatus,
    },
};
use serde_json::json;

use crate::{
    mint::{self, key_usage, put},
    mint_intel::{
        FMSPC, Mint, NOW, PCE_ID, document, enclave_level, keys, platform_level, sgx_extension,
    },
};

/// The error of a quote in which `sin` was committed, of each kind.
fn sin(sin: impl Fn(&mut Mint)) -> Error {
    let [sgx, tdx] = [Mint::sgx(), Mint::tdx()].map(|mut mint| {
        sin(&mut mint);
        mint.verify().unwrap_err()
    });
    assert_eq!(sgx, tdx);
    sgx
}

fn tdx_sin(sin: impl Fn(&mut Mint)) -> Error {
    let mut mint = Mint::tdx();
    sin(&mut mint);
    mint.verify().unwrap_err()
}

#[test]
fn nothing_is_wrong() {
    for mut mint in [Mint::sgx(), Mint::tdx(), Mint::tdx_1_5()] {
        let quote = mint.verify().unwrap();
        assert_eq!(quote.tcb_status(), TcbStatus::UpToDate);
        assert_eq!(quote.evaluation_number(), 18);
        assert!(quote.advisories().is_empty());
        // 2026-12-01, when the lists were issued, and 2027-01-31.
        assert_eq!(quote.collateral_issued(), UnixTime(1_796_083_200));
        assert_eq!(quote.validity().not_after, UnixTime(1_801_353_600));
        let platform = quote.platform();
        assert_eq!(platform.fmspc, FMSPC);
        assert_eq!(platform.pce_id, PCE_ID);
        assert_eq!(platform.sgx_type, SgxType::Scalable);
        assert_eq!(platform.instance, Some([0x66; 16]));
        assert_eq!(platform.smt_enabled, Some(true));
        assert_eq!(quote.body().report_data(), &[0xd4; 64]);
        // Chains end differently on different platforms.
        mint.padding = b"";
        assert!(mint.verify().is_ok());
    }
    let mut mint = Mint::sgx();
    for version in [4, 5] {
        mint.version = version;
        let quote = mint.verify().unwrap();
        assert!(matches!(quote.body(), Body::Sgx(_)));
        assert_eq!(quote.version(), version);
    }
    let mut mint = Mint::tdx();
    mint.version = 5;
    assert_eq!(mint.verify().unwrap().body().kind(), Kind::Tdx);
}

#[test]
fn a_root_that_is_no_anchor_vouches_for_nothing() {
    let issued = Mint::sgx().issue();
    let none = issued.collateral_under(SimulatedRoots::default());
    assert_eq!(none.unwrap_err(), Error::Missing(CertificateRole::Root));
    // A chain under another anchor than the collateral's, whose lists say nothing of it.
    let mut other = Mint::sgx();
    other.root_key = &keys().other_root;
    other.root.key = other.root_key.public();
    assert!(other.verify().is_ok());
    let collateral = Mint::sgx().issue().collateral().unwrap();
    let error = collateral.verify_quote(&other.quote(), NOW).unwrap_err();
    assert_eq!(error, Error::UntrustedRoot);
    assert_eq!(error.kind(), FailureKind::NotGenuine);
}

#[test]
fn certificates_are_for_what_they_say() {
    for (role, change) in [
        (
            CertificateRole::Pck,
            (|mint| mint.pck.subject = "Intel SGX TCB Signing") as fn(&mut Mint),
        ),
        (CertificateRole::PckAuthority, |mint| {
            mint.authority.subject = "Intel SGX Attestation Report Signing CA";
            mint.pck.issuer = mint.authority.subject;
            mint.pck_list.issuer = mint.authority.subject;
        }),
    ] {
        let error = sin(change);
        assert!(matches!(error, Error::CommonName { role: of, .. } if of == role));
    }
    // One that is for something else is not looked at.
    assert_eq!(
        sin(|mint| mint.tcb_signing.subject = "Intel SGX PCK Certificate"),
        Error::Missing(CertificateRole::TcbSigning)
    );
}

#[test]
fn authorities_are_authorities_and_others_are_not() {
    let of = |role, error| Error::Certificate { role, error };
    assert_eq!(
        sin(|mint| mint.authority.extensions.clear()),
        of(
            CertificateRole::PckAuthority,
            CertificateError::NotAuthority
        )
    );
    assert_eq!(
        sin(|mint| mint.authority.extensions.push(key_usage(0x80))),
        of(
            CertificateRole::PckAuthority,
            CertificateError::NotAuthority
        )
    );
    assert_eq!(
        sin(|mint| mint.pck.extensions.push(mint::authority(None))),
        of(CertificateRole::Pck, CertificateError::UnexpectedAuthority)
    );
    assert_eq!(
        sin(|mint| mint.tcb_signing.extensions.push(mint::authority(None))),
        of(
            CertificateRole::TcbSigning,
            CertificateError::UnexpectedAuthority
        )
    );
    // With a path length of zero the root may sign documents' signers, and no authority.
    assert_eq!(
        sin(|mint| mint.root.extensions = vec![mint::authority(Some(0))]),
        of(CertificateRole::Root, CertificateError::PathLength)
    );
}

#[test]
fn what_has_expired_counts_no_more() {
    let error = sin(|mint| mint.pck.not_after = "260101000000Z");
    assert_eq!(error.kind(), FailureKind::NotGenuine, "{error}");
    let error = sin(|mint| mint.tcb_signing.not_after = "260101000000Z");
    assert_eq!(error.kind(), FailureKind::Collateral, "{error}");
    for list in [
        (|mint| mint.root_list.next_update = Some("270101000000Z")) as fn(&mut Mint),
        |mint| mint.pck_list.next_update = Some("270101000000Z"),
        |mint| mint.pck_list.this_update = "270601000000Z",
        |mint| mint.tcb_info["nextUpdate"] = json!("2027-01-15T07:59:59Z"),
        |mint| mint.qe_identity["nextUpdate"] = json!("2027-01-15T07:59:59Z"),
        |mint| mint.tcb_info["issueDate"] = json!("2027-01-15T08:00:01Z"),
    ] {
        let error = sin(list);
        assert_eq!(error.kind(), FailureKind::Collateral, "{error}");
    }
    // The second itself still counts.
    for exact in [
        (|mint| mint.tcb_info["nextUpdate"] = json!("2027-01-15T08:00:00Z")) as fn(&mut Mint),
        |mint| mint.tcb_info["issueDate"] = json!("2027-01-15T08:00:00Z"),
    ] {
        let mut mint = Mint::tdx();
        exact(&mut mint);
        assert!(mint.verify().is_ok());
    }
}

#[test]
fn the_revoked_are_refused() {
    for (role, change) in [
        (
            CertificateRole::Pck,
            (|mint| mint.pck_list.revoked.push(3)) as fn(&mut Mint),
        ),
        (CertificateRole::PckAuthority, |mint| {
            mint.root_list.revoked.push(2);
        }),
        (CertificateRole::TcbSigning, |mint| {
            mint.root_list.revoked.push(4);
        }),
    ] {
        let error = sin(change);
        assert_eq!(error, Error::Revoked(role));
        assert_eq!(error.kind(), FailureKind::NotGenuine);
    }
}

#[test]
fn lists_are_their_issuers_own() {
    let mint = Mint::sgx();
    let mut issued = mint.issue();
    issued.pck_revocations = mint.pck_list.sign_with(|data| keys().root.sign_asn1(data));
    let collateral = issued.collateral().unwrap();
    assert_eq!(
        collateral.verify_quote(&mint.quote(), NOW).unwrap_err(),
        Error::Certificate {
            role: CertificateRole::PckRevocations,
            error: CertificateError::Signature,
        }
    );
    let mut issued = mint.issue();
    issued.root_revocations = issued.pck_revocations.clone();
    assert_eq!(
        issued.collateral().unwrap_err(),
        Error::Certificate {
            role: CertificateRole::RootRevocations,
            error: CertificateError::IssuerName,
        }
    );
}

#[test]
fn documents_are_signed_by_their_signer() {
    let mint = Mint::tdx();
    let mut issued = mint.issue();
    issued.tcb_info = document("tcbInfo", &mint.tcb_info, &keys().root);
    let error = issued.collateral().unwrap_err();
    assert_eq!(error, Error::DocumentSignature(DocumentRole::TcbInfo));
    assert_eq!(error.kind(), FailureKind::NotGenuine);
    let mut issued = mint.issue();
    issued.qe_identity = document("enclaveIdentity", &mint.qe_identity, &keys().pck);
    assert_eq!(
        issued.collateral().unwrap_err(),
        Error::DocumentSignature(DocumentRole::QeIdentity)
    );
}

#[test]
fn each_document_may_have_a_signer_of_its_own() {
    let mint = Mint::tdx();
    let mut renewed = mint.tcb_signing.clone();
    renewed.serial = 5;
    renewed.key = keys().attestation.public();
    let mut issued = mint.issue();
    let sign = |data: &[u8]| keys().root.sign_asn1(data);
    issued.certificates.push(renewed.sign_with(sign));
    issued.tcb_info = document("tcbInfo", &mint.tcb_info, &keys().attestation);
    let collateral = issued.collateral().unwrap();
    assert!(collateral.verify_quote(&mint.quote(), NOW).is_ok());
    // One of them revoked, what the other signed does not count either way around.
    let mut list = mint.root_list.clone();
    list.revoked.push(5);
    issued.root_revocations = list.sign_with(sign);
    assert_eq!(
        issued.collateral().unwrap_err(),
        Error::Revoked(CertificateRole::TcbSigning)
    );
}

#[test]
fn what_lies_beside_the_collateral_does_not_matter() {
    let mint = Mint::sgx();
    let mut issued = mint.issue();
    let amd = mint::Chain::new().issue();
    let other = Mint::tdx().issue();
    let beside = [amd.root, amd.endorsement]
        .into_iter()
        .chain(other.certificates);
    for certificate in beside.cycle().take(200) {
        issued.certificates.insert(0, certificate);
    }
    let collateral = issued.collateral().unwrap();
    assert!(collateral.verify_quote(&mint.quote(), NOW).is_ok());
}

#[test]
fn documents_that_are_not_understood_are_refused() {
    let of = |role, error| Error::Document { role, error };
    let info = |error| of(DocumentRole::TcbInfo, error);
    assert_eq!(
        sin(|mint| mint.tcb_info["version"] = json!(4)),
        info(DocumentError::Version(4))
    );
    assert_eq!(
        sin(|mint| mint.tcb_info["tcbType"] = json!(1)),
        info(DocumentError::TcbType(1))
    );
    assert_eq!(
        sin(|mint| mint.tcb_info["id"] = json!("SEV")),
        info(DocumentError::Identifier)
    );
    assert_eq!(
        sin(|mint| mint.qe_identity["version"] = json!(3)),
        of(DocumentRole::QeIdentity, DocumentError::Version(3))
    );
    assert_eq!(
        sin(|mint| mint.qe_identity["id"] = json!("QVE")),
        of(DocumentRole::QeIdentity, DocumentError::Identifier)
    );
    assert_eq!(
        tdx_sin(|mint| {
            let tcb = mint.level()["tcb"].as_object_mut().unwrap();
            tcb.remove("tdxtcbcomponents");
        }),
        info(DocumentError::TdxComponents)
    );
    let malformed: [fn(&mut Mint); 7] = [
        |mint| mint.level()["tcbStatus"] = json!("Fine"),
        |mint| mint.level()["tcb"]["sgxtcbcomponents"] = json!([{"svn": 1}]),
        |mint| mint.level()["tcb"]["pcesvn"] = json!(65536),
        |mint| mint.level()["tcbDate"] = json!("yesterday"),
        |mint| mint.tcb_info["fmspc"] = json!("00"),
        |mint| mint.tcb_info["tcbLevels"] = json!(null),
        |mint| mint.level()["advisoryIDs"] = json!(vec![""; 1025]),
    ];
    for change in malformed {
        let error = sin(change);
        assert!(
            matches!(
                error,
                Error::Document {
                    role: DocumentRole::TcbInfo,
                    error: DocumentError::Malformed(_)
                }
            ),
            "{error}"
        );
    }
}

#[test]
fn collateral_is_of_the_quotes_platform() {
    assert_eq!(
        sin(|mint| mint.tcb_info["fmspc"] = json!("000000000001")),
        Error::Fmspc {
            quote: FMSPC,
            collateral: [0, 0, 0, 0, 0, 1],
        }
    );
    let error = sin(|mint| mint.tcb_info["pceId"] = json!("0100"));
    assert_eq!(
        error,
        Error::PceId {
            quote: PCE_ID,
            collateral: [1, 0],
        }
    );
    assert_eq!(error.kind(), FailureKind::Collateral);
    let mut mint = Mint::sgx();
    mint.qe_identity["id"] = json!("TD_QE");
    assert_eq!(mint.verify().unwrap_err(), Error::CollateralKinds);
    mint.tcb_info = Mint::tdx().tcb_info;
    assert_eq!(
        mint.verify().unwrap_err(),
        Error::CollateralKind { quote: Kind::Sgx }
    );
}

#[test]
fn only_intels_quoting_enclave_signs() {
    for (what, offset, value) in [
        ("MISCSELECT", 16, &[1][..]),
        // DEBUG.
        ("ATTRIBUTES", 48, &[0x13]),
        ("MRSIGNER", 128, &[0x8d]),
        ("ISVPRODID", 256, &[1]),
    ] {
        let error = sin(|mint| put(&mut mint.qe_report, offset, value));
        assert_eq!(error, Error::QeIdentity(what));
        assert_eq!(error.kind(), FailureKind::NotGenuine);
    }
    // What the mask leaves out does not matter.
    let mut mint = Mint::sgx();
    put(&mut mint.qe_report, 48, &[0x15]);
    assert!(mint.verify().is_ok());
    assert_eq!(
        sin(|mint| put(&mut mint.qe_report, 258, &[3])),
        Error::QeLevel { svn: 3 }
    );
    assert_eq!(
        sin(|mint| put(&mut mint.qe_report, 258, &[5])),
        Error::RevokedTcb
    );
}

#[test]
fn a_quote_without_certificates_says_what_it_has() {
    let error = sin(|mint| mint.certification = 3);
    assert_eq!(error, Error::NoCertificates { kind: 3 });
    assert_eq!(error.kind(), FailureKind::Collateral);
}

#[test]
fn the_quoting_enclave_vouches_for_the_key() {
    // The report names a key with other authentication data.
    let mint = Mint::sgx();
    let collateral = mint.issue().collateral().unwrap();
    let quote = mint.quote();
    let auth = quote.windows(32).position(|bytes| bytes == [0xaa; 32]);
    for (offset, error) in [
        (auth.unwrap(), Error::AttestationKey),
        (320 + 48, Error::QuoteSignature),
        // Behind the length: signature, key, and the QE's report.
        (48 + 384 + 4 + 128, Error::QeReportSignature),
    ] {
        let mut changed = quote.clone();
        changed[offset] ^= 1;
        let refused = collateral.verify_quote(&changed, NOW).unwrap_err();
        assert_eq!(refused, error);
    }
}

#[test]
fn the_platform_has_the_level_that_it_reaches() {
    let outdated: [fn(&mut Mint); 2] = [
        |mint| mint.pck.extensions = vec![sgx_extension([7; 16], 4)],
        |mint| {
            let mut components = [7; 16];
            components[15] = 4;
            mint.pck.extensions = vec![sgx_extension(components, 13)];
        },
    ];
    for change in outdated {
        for mut mint in [Mint::sgx(), Mint::tdx()] {
            change(&mut mint);
            let quote = mint.verify().unwrap();
            assert_eq!(quote.tcb_status(), TcbStatus::OutOfDate);
            assert_eq!(quote.advisories(), ["INTEL-SA-00001", "INTEL-SA-00002"]);
        }
    }
    assert_eq!(
        sin(|mint| mint.pck.extensions = vec![sgx_extension([3; 16], 13)]),
        Error::NoTcbLevel
    );
    assert_eq!(
        sin(|mint| mint.level()["tcbStatus"] = json!("Revoked")),
        Error::RevokedTcb
    );
    // The last component of TDX counts too.
    let mut mint = Mint::tdx();
    put(&mut mint.body, 2, &[1]);
    assert_eq!(mint.verify().unwrap_err(), Error::NoTcbLevel);
}

#[test]
fn the_older_tcb_info_is_read() {
    let mut mint = Mint::sgx();
    mint.tcb_info.as_object_mut().unwrap().remove("id");
    mint.tcb_info["version"] = json!(2);
    for (index, svn) in [5, 4].into_iter().enumerate() {
        let mut tcb = json!({"pcesvn": svn});
        for number in 1..=16 {
            tcb[format!("sgxtcbcomp{number:02}svn")] = json!(svn);
        }
        mint.tcb_info["tcbLevels"][index]["tcb"] = tcb;
    }
    assert_eq!(mint.verify().unwrap().tcb_status(), TcbStatus::UpToDate);
    mint.pck.extensions = vec![sgx_extension([4; 16], 13)];
    assert_eq!(mint.verify().unwrap().tcb_status(), TcbStatus::OutOfDate);
    let tcb = mint.level()["tcb"].as_object_mut().unwrap();
    tcb.remove("sgxtcbcomp16svn");
    let error = mint.verify().unwrap_err();
    assert!(error.to_string().contains("sgxtcbcomp16svn"), "{error}");
}

#[test]
fn an_outdated_quoting_enclave_outdates_the_platform() {
    for (platform, both) in [
        ("UpToDate", TcbStatus::OutOfDate),
        ("SWHardeningNeeded", TcbStatus::OutOfDate),
        (
            "ConfigurationNeeded",
            TcbStatus::OutOfDateConfigurationNeeded,
        ),
        (
            "ConfigurationAndSWHardeningNeeded",
            TcbStatus::OutOfDateConfigurationNeeded,
        ),
        ("OutOfDate", TcbStatus::OutOfDate),
        (
            "OutOfDateConfigurationNeeded",
            TcbStatus::OutOfDateConfigurationNeeded,
        ),
    ] {
        for mut mint in [Mint::sgx(), Mint::tdx()] {
            mint.level()["tcbStatus"] = json!(platform);
            let alone = mint.verify().unwrap();
            assert_eq!(alone.tcb_status().as_str(), platform);
            put(&mut mint.qe_report, 258, &[7]);
            let quote = mint.verify().unwrap();
            assert_eq!(quote.tcb_status(), both, "{platform}");
            assert_eq!(quote.advisories(), ["INTEL-SA-00003"]);
        }
    }
}

#[test]
fn the_tdx_module_is_intels_and_judged_by_its_version() {
    assert_eq!(
        tdx_sin(|mint| put(&mut mint.body, 64, &[0])),
        Error::TdxModule
    );
    assert_eq!(
        tdx_sin(|mint| put(&mut mint.body, 112, &[1])),
        Error::TdxModule
    );
    assert_eq!(
        tdx_sin(|mint| put(&mut mint.body, 1, &[2])),
        Error::TdxModuleUnknown { version: 2 }
    );
    assert_eq!(
        tdx_sin(|mint| put(&mut mint.body, 0, &[2])),
        Error::TdxModuleLevel { svn: 2 }
    );
    assert_eq!(
        tdx_sin(|mint| put(&mut mint.body, 0, &[3])),
        Error::RevokedTcb
    );
    let mut mint = Mint::tdx();
    put(&mut mint.body, 0, &[4]);
    let quote = mint.verify().unwrap();
    assert_eq!(quote.tcb_status(), TcbStatus::OutOfDate);
    assert_eq!(quote.advisories(), ["INTEL-SA-00004"]);
    // A module of the first version has no identity of its own; the levels count.
    let mut mint = Mint::tdx();
    put(&mut mint.body, 0, &[5, 0]);
    assert_eq!(mint.verify().unwrap().tcb_status(), TcbStatus::UpToDate);
    put(&mut mint.body, 0, &[4, 0]);
    assert_eq!(mint.verify().unwrap().tcb_status(), TcbStatus::OutOfDate);
    mint.tcb_info.as_object_mut().unwrap().remove("tdxModule");
    assert_eq!(
        mint.verify().unwrap_err(),
        Error::TdxModuleUnknown { version: 0 }
    );
    // What Intel might say of a module one day is not taken for praise.
    let mut mint = Mint::tdx();
    mint.module_level()["tcbStatus"] = json!("SWHardeningNeeded");
    assert_eq!(mint.verify().unwrap().tcb_status(), TcbStatus::OutOfDate);
}

#[test]
fn a_td_that_was_launched_before_the_module_was_updated() {
    let launched_before = |platform: &str| {
        let mut mint = Mint::tdx_1_5();
        put(&mut mint.body, 0, &[4]);
        mint.level()["tcbStatus"] = json!(platform);
        mint
    };
    let status = |mint: &Mint| mint.verify().unwrap().tcb_status();
    for (platform, advised) in [
        ("UpToDate", TcbStatus::TdRelaunchAdvised),
        ("SWHardeningNeeded", TcbStatus::TdRelaunchAdvised),
        (
            "ConfigurationNeeded",
            TcbStatus::TdRelaunchAdvisedConfigurationNeeded,
        ),
        (
            "OutOfDateConfigurationNeeded",
            TcbStatus::OutOfDateConfigurationNeeded,
        ),
    ] {
        assert_eq!(status(&launched_before(platform)), advised, "{platform}");
    }
    // The module that runs is no newer, or its loader is older.
    for (offset, svn) in [(584, 4), (586, 1)] {
        let mut mint = launched_before("UpToDate");
        put(&mut mint.body, offset, &[svn]);
        assert_eq!(status(&mint), TcbStatus::OutOfDate);
    }
    // Relaunching renews no quoting enclave.
    let mut mint = launched_before("UpToDate");
    put(&mut mint.qe_report, 258, &[7]);
    assert_eq!(status(&mint), TcbStatus::OutOfDate);
    let mut mint = launched_before("ConfigurationNeeded");
    put(&mut mint.qe_report, 258, &[7]);
    assert_eq!(status(&mint), TcbStatus::OutOfDateConfigurationNeeded);
    // Nor processors' microcode.
    let mut mint = launched_before("UpToDate");
    mint.pck.extensions = vec![sgx_extension([4; 16], 13)];
    assert_eq!(status(&mint), TcbStatus::OutOfDate);
    // That the running module is not known matters only where it would help.
    put(&mut mint.body, 585, &[9]);
    assert_eq!(status(&mint), TcbStatus::OutOfDate);
    let mut mint = launched_before("UpToDate");
    put(&mut mint.body, 585, &[9]);
    assert_eq!(
        mint.verify().unwrap_err(),
        Error::TdxModuleUnknown { version: 9 }
    );
}

#[test]
fn the_order_of_levels_is_intels() {
    // The first level that is met counts, even if a later one reads better.
    let mut mint = Mint::sgx();
    mint.tcb_info["tcbLevels"] = json!([
        platform_level(6, "OutOfDate", &[]),
        platform_level(5, "UpToDate", &[]),
    ]);
    assert_eq!(mint.verify().unwrap().tcb_status(), TcbStatus::OutOfDate);
    mint.qe_identity["tcbLevels"] = json!([enclave_level(9, "UpToDate", &[])]);
    assert_eq!(mint.verify().unwrap_err(), Error::QeLevel { svn: 8 });
}

#[test]
fn sgx_extensions_that_are_not_as_they_should_be() {
    let good = sgx_extension([7; 16], 13).value;
    let mint = Mint::sgx();
    let collateral = mint.issue().collateral().unwrap();
    for end in 0..good.len() {
        let mut mint = Mint::sgx();
        mint.pck.extensions[0].value.truncate(end);
        let error = collateral.verify_quote(&mint.quote(), NOW).unwrap_err();
        assert_eq!(error, Error::SgxExtension, "{end}");
    }
    assert_eq!(
        sin(|mint| mint.pck.extensions.clear()),
        Error::Missing(CertificateRole::Pck)
    );
    // A type of memory protection that nobody has defined.
    let kind = good
        .windows(3)
        .position(|bytes| bytes == [0x0a, 1, 1])
        .unwrap();
    assert_eq!(
        sin(|mint| mint.pck.extensions[0].value[kind + 2] = 3),
        Error::SgxExtension
    );
}
