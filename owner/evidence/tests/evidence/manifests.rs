//! NVIDIA's reference integrity manifests: a real one, and what becomes of it when it is
//! changed; minted ones, and devices that they are for.

use std::fs;

use enarx_owner_evidence::{
    CertificateError, FailureKind, Simulated, UnixTime,
    materials::{self, Kind, Materials, Roots},
    nvidia::{
        self, Error, GenuineRoots, ManifestError, NVIDIA_DEVICE_ROOT, NVIDIA_MANIFEST_ROOT, Part,
        SimulatedRoots, VerifiedManifest, VerifiedReport, verify_manifest,
    },
};

use crate::{
    mint::NOW,
    mint_nvidia::{DRIVER, Mint, VBIOS, tag},
    vectors::{directory, time},
};

const ZERO: [u8; 48] = [0; 48];
const ONE: [u8; 48] = [1; 48];
const TWO: [u8; 48] = [2; 48];

/// Real manifests: the good one, and the one with a broken signature.
fn real() -> Option<[String; 2]> {
    let directory = directory()?.join("nvidia/attestation-sdk");
    let read = |name| fs::read_to_string(directory.join(name)).unwrap();
    Some([
        read("NV_GPU_DRIVER_GH100_550.144.03.xml"),
        read("incorrect_signature_driver_rim.xml"),
    ])
}

fn at_real(manifest: &str) -> Result<(), ManifestError> {
    verify_manifest(
        manifest.as_bytes(),
        &GenuineRoots,
        time("2026-01-01T00:00:00Z"),
    )
    .map(|_| ())
}

#[test]
fn a_real_manifest() {
    let Some([good, broken]) = real() else { return };
    let now = time("2026-01-01T00:00:00Z");
    let verified = verify_manifest(good.as_bytes(), &GenuineRoots, now).unwrap();
    assert_eq!(verified.version(), "550.144.03");
    assert_eq!(verified.product(), "GH100");
    assert_eq!(verified.signer(), "HCC RIM L4 Signer");
    let indices: Vec<_> = verified.references().iter().map(|one| one.index).collect();
    let expected: Vec<_> = [7].into_iter().chain(21..=40).collect();
    assert_eq!(indices, expected);
    assert_eq!(verified.references()[15].values.len(), 4);
    assert_eq!(at_real(&broken), Err(ManifestError::Signature));
}

#[test]
fn no_byte_of_a_real_manifest_can_be_changed() {
    let Some([good, _]) = real() else { return };
    let end = good.trim_end().len();
    for (position, bit) in (0..end).step_by(11).zip([0x01, 0x20].into_iter().cycle()) {
        let mut changed = good.clone().into_bytes();
        changed[position] ^= bit;
        let result = verify_manifest(&changed, &GenuineRoots, time("2026-01-01T00:00:00Z"));
        assert!(result.is_err(), "byte {position}, bit {bit}");
    }
    for length in (0..end).step_by(101) {
        assert!(at_real(&good[..length]).is_err(), "{length} bytes");
    }
}

#[test]
fn a_real_manifest_holds_for_its_time_and_under_its_root() {
    let Some([good, _]) = real() else { return };
    let at = |now| verify_manifest(good.as_bytes(), &GenuineRoots, time(now)).map(|_| ());
    let outside = |result| match result {
        Err(ManifestError::Certificate { index: 0, error }) => error,
        other => panic!("{other:?}"),
    };
    let error = outside(at("2027-01-01T00:00:00Z"));
    assert!(matches!(error, CertificateError::Expired { .. }), "{error}");
    let error = outside(at("2024-12-01T00:00:00Z"));
    assert!(
        matches!(error, CertificateError::NotYetValid { .. }),
        "{error}"
    );
    let now = time("2026-01-01T00:00:00Z");
    for digest in [[0; 48], NVIDIA_DEVICE_ROOT, NVIDIA_MANIFEST_ROOT] {
        let roots = SimulatedRoots(vec![digest]);
        let error = verify_manifest(good.as_bytes(), &roots, now).unwrap_err();
        assert_eq!(error, ManifestError::UntrustedRoot);
    }
}

#[test]
fn the_same_xml_in_other_words_is_what_was_signed() {
    let Some([good, _]) = real() else { return };
    let declared = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{good}");
    assert_eq!(at_real(&declared), Ok(()));
    let swapped = good.replacen(
        r#"type="Measurement" index="7""#,
        "index = '7'  type='Measurement'",
        1,
    );
    assert_ne!(swapped, good);
    assert_eq!(at_real(&swapped), Ok(()));
    let entity = r#"role="softwareCreator tagCreator""#;
    let long = good.replacen(
        &format!("{entity}/>"),
        &format!("{entity} ></ns0:Entity>"),
        1,
    );
    assert_ne!(long, good);
    assert_eq!(at_real(&long), Ok(()));
    // The prefix is part of what is signed, although it means the same.
    let renamed = long.replacen("<ns0:Entity ", "<Entity ", 1);
    let renamed = renamed.replacen("</ns0:Entity>", "</Entity>", 1);
    assert_eq!(at_real(&renamed), Err(ManifestError::Digest));
}

#[test]
fn what_no_manifest_needs_of_xml_is_refused() {
    let Some([good, _]) = real() else { return };
    let root = "<SoftwareIdentity ";
    let payload = "<ns0:Payload ";
    for (before, inserted) in [
        (root, "<!DOCTYPE SoftwareIdentity [<!ENTITY e \"7\">]>"),
        (root, "<?xml version=\"1.1\"?>"),
        (root, "<?xml version=\"1.0\" encoding=\"UTF-16\"?>"),
        (root, "\u{feff}"),
        (root, "<a/>"),
        (root, "text"),
        (payload, "<!-- a comment -->"),
        (payload, "<?an instruction?>"),
        (payload, "<![CDATA[text]]>"),
        (payload, "&amp;"),
        (payload, "&#32;"),
        (payload, "&e;"),
        (payload, "\r"),
        (payload, "<a a=\"&quot;\"/>"),
        (payload, "<a a=\"1\" a=\"2\"/>"),
        (payload, "<a xml:id=\"1\"/>"),
        (payload, "<unknown:a/>"),
        (payload, "<a xmlns:b=\"\"/>"),
        (
            payload,
            "<a xmlns:b=\"c\" xmlns:d=\"c\" b:e=\"1\" d:e=\"1\"/>",
        ),
        (payload, "<a>"),
    ] {
        let changed = good.replacen(before, &format!("{inserted}{before}"), 1);
        let error = at_real(&changed).unwrap_err();
        assert!(
            matches!(error, ManifestError::Xml(_)),
            "{inserted}: {error}"
        );
        assert_eq!(error.kind(), FailureKind::Malformed);
    }
    let many = "<a/>".repeat(2000);
    let deep = [&*"<a>".repeat(100), &*"</a>".repeat(100)].concat();
    for inserted in [many, deep] {
        let changed = good.replacen(payload, &format!("{inserted}{payload}"), 1);
        let error = at_real(&changed).unwrap_err();
        assert!(matches!(error, ManifestError::Xml(_)), "{error}");
    }
    let large = [&*good, &*" ".repeat(256 * 1024)].concat();
    let error = at_real(&large).unwrap_err();
    assert_eq!(error, ManifestError::TooLarge(large.len()));
}

#[test]
fn a_signature_cannot_be_moved() {
    let Some([good, _]) = real() else { return };
    let start = good.find("<ds:Signature ").unwrap();
    let end = good.find("</SoftwareIdentity>").unwrap();
    let signature = &good[start..end];
    let unsigned = good.replace(signature, "");
    assert_eq!(at_real(&unsigned), Err(ManifestError::Unsigned));
    let twice = good.replace(signature, &signature.repeat(2));
    assert_eq!(at_real(&twice), Err(ManifestError::SeveralSignatures));
    let forged = unsigned.replace("4a5e4b3d501fe31f", "0000000000000000");
    let inside = |inserted: &str| {
        let payload = "<ns0:Payload ";
        forged.replacen(payload, &format!("{inserted}{payload}"), 1)
    };
    // What was signed, moved into another tag, with its signature and without it.
    let wrapped = inside(good.trim());
    assert_eq!(at_real(&wrapped), Err(ManifestError::Form("place")));
    let closing = "</SoftwareIdentity>\n";
    let beside = |contents: String| {
        let (before, _) = contents.rsplit_once(closing).unwrap();
        format!("{before}{signature}{closing}")
    };
    assert_eq!(
        at_real(&beside(inside(unsigned.trim()))),
        Err(ManifestError::Digest)
    );
    assert_eq!(
        at_real(&beside(inside(good.trim()))),
        Err(ManifestError::SeveralSignatures)
    );
    assert_eq!(at_real(&beside(forged.clone())), Err(ManifestError::Digest));
    let object = format!("<ds:Object>{}</ds:Object></ds:Signature>", unsigned.trim());
    let object = signature.replace("</ds:Signature>", &object);
    let (before, _) = forged.rsplit_once(closing).unwrap();
    let object = format!("{before}{object}{closing}");
    assert_eq!(at_real(&object), Err(ManifestError::Form("structure")));
}

#[test]
fn only_one_form_of_signature_is_accepted() {
    let mint = Mint::new();
    let tag = tag(DRIVER, &[(0, &[ONE], true)]);
    let verify = |form: &str, changed: &str| {
        let manifest = mint.sign_tag(&tag, form, changed);
        verify_manifest(manifest.as_bytes(), &mint.roots(), UnixTime(NOW)).map(|_| ())
    };
    assert_eq!(verify("", ""), Ok(()));
    for (form, changed) in [
        ("URI=\"\"", "URI=\"#part\""),
        ("URI=\"\"", "Id=\"a\" URI=\"\""),
        ("2006/12/xml-c14n11", "2001/10/xml-exc-c14n#"),
        ("#ecdsa-sha384", "#hmac-sha384"),
        ("xmldsig-more#sha384", "xmldsig#sha1"),
        ("xmldsig#enveloped-signature", "xmldsig#base64"),
        (
            "<ds:Reference",
            "<ds:Reference URI=\"\"></ds:Reference><ds:Reference",
        ),
        (
            "</ds:Transforms>",
            "<ds:Transform Algorithm=\"a\"></ds:Transform></ds:Transforms>",
        ),
        ("<ds:DigestValue>", "<ds:DigestValue>!"),
    ] {
        let error = verify(form, changed).unwrap_err();
        assert!(
            matches!(error, ManifestError::Form(_)),
            "{changed}: {error}"
        );
        assert_eq!(error.kind(), FailureKind::NotGenuine);
    }
}

#[test]
fn what_is_signed_must_still_be_a_manifest() {
    let mint = Mint::new();
    let good = tag(DRIVER, &[(0, &[ONE], true), (1, &[ONE], true)]);
    for (part, changed) in [
        ("index=\"1\"", "index=\"0\""),
        ("index=\"1\"", "index=\"256\""),
        ("alternatives=\"1\"", "alternatives=\"0\""),
        ("alternatives=\"1\"", "alternatives=\"2\""),
        ("size=\"48\"", "size=\"47\""),
        ("active=\"True\"", "active=\"true\""),
        ("active=\"True\"", "active=\"False\""),
        ("h:Hash0=\"01", "h:Hash0=\"x1"),
        ("type=\"Measurement\"", "type=\"Other\""),
        ("product=\"SIM100\"", "product=\"\""),
        ("Meta", "Data"),
        ("Payload", "Evidence"),
        ("SoftwareIdentity", "Software"),
    ] {
        let manifest = mint.sign_tag(&good.replace(part, changed), "", "");
        let result = verify_manifest(manifest.as_bytes(), &mint.roots(), UnixTime(NOW));
        let error = result.unwrap_err();
        assert!(
            matches!(error, ManifestError::Part(_)),
            "{changed}: {error}"
        );
    }
}

fn compare(
    mint: &Mint,
    report: &[u8],
    manifests: &[String],
) -> Result<VerifiedReport<Simulated>, Error> {
    let roots = mint.roots();
    let now = UnixTime(NOW);
    let manifests: Vec<VerifiedManifest<Simulated>> = manifests
        .iter()
        .map(|manifest| verify_manifest(manifest.as_bytes(), &roots, now).unwrap())
        .collect();
    let chain = mint.device_chain();
    let chain: Vec<&[u8]> = chain.iter().map(Vec::as_slice).collect();
    nvidia::verify(report, &chain, &roots, now)?.compare(&manifests)
}

#[test]
fn measurements_are_compared_with_the_manifests_of_their_versions() {
    let mint = Mint::new();
    let report = mint.report(&[ONE, TWO, ZERO], 0xaa);
    let driver = mint.manifest(DRIVER, &[(0, &[TWO, ONE], true), (1, &[ZERO], false)]);
    let vbios = mint.manifest(&VBIOS.to_uppercase(), &[(1, &[TWO], true)]);
    let other = mint.manifest("998.01", &[(0, &[ZERO], true)]);
    let compared = |manifests: &[String]| {
        let report = compare(&mint, &report, manifests).unwrap();
        Part::ALL.map(|part| report.is_compared(part))
    };
    assert_eq!(compared(&[]), [false, false]);
    assert_eq!(compared(std::slice::from_ref(&other)), [false, false]);
    assert_eq!(compared(std::slice::from_ref(&driver)), [true, false]);
    assert_eq!(compared(std::slice::from_ref(&vbios)), [false, true]);
    assert_eq!(
        compared(&[other, vbios.clone(), driver.clone()]),
        [true, true]
    );
    // The same version for another board does no harm, and no good.
    let board = mint.manifest(VBIOS, &[(1, &[ONE], true)]);
    assert_eq!(compared(&[board.clone(), vbios.clone()]), [false, true]);
    let error = compare(&mint, &report, &[board, driver]).unwrap_err();
    let differs = |part, version: &str, indices: &[u8]| Error::Measurements {
        part,
        version: version.to_owned(),
        indices: indices.to_vec(),
    };
    assert_eq!(error, differs(Part::Vbios, VBIOS, &[1]));
    assert_eq!(error.kind(), FailureKind::NotGenuine);
    // Another value, and a measurement that the report does not have.
    let wrong = [
        (0, &[ZERO][..], true),
        (1, &[TWO], true),
        (3, &[ZERO], true),
    ];
    let error = compare(&mint, &report, &[mint.manifest(DRIVER, &wrong)]).unwrap_err();
    assert_eq!(error, differs(Part::Driver, DRIVER, &[0, 3]));
    let error = compare(
        &mint,
        &report,
        &[mint.manifest(DRIVER, &[(255, &[ONE], true)])],
    );
    assert_eq!(error.unwrap_err(), differs(Part::Driver, DRIVER, &[255]));
}

#[test]
fn one_measurement_is_of_the_video_decoder_alone() {
    let mint = Mint::new();
    let measurements = [ONE; 40];
    let manifest = [mint.manifest(DRIVER, &[(34, &[ONE], true), (35, &[TWO], true)])];
    let on = mint.report(&measurements, 0xaa);
    assert!(compare(&mint, &on, &manifest).is_err());
    let off = compare(&mint, &mint.report(&measurements, 0x55), &manifest).unwrap();
    let steps = off.steps();
    let told = |step: &&enarx_owner_evidence::Step| step.name == "driver manifest";
    let step = steps.iter().find(told).unwrap();
    assert!(step.found.contains("35 is not compared"), "{}", step.found);
    let step = steps
        .iter()
        .find(|step| step.name == "VBIOS manifest")
        .unwrap();
    assert!(step.found.starts_with("not compared"), "{}", step.found);
}

#[test]
fn manifests_are_told_among_files() {
    let Some([good, broken]) = real() else { return };
    let verify = |files: &[&[u8]]| {
        let mut materials = Materials::default();
        for file in files {
            materials.add(file).unwrap();
        }
        materials.verify(&Roots::genuine(), time("2026-01-01T00:00:00Z"))
    };
    let mut materials = Materials::default();
    let found = materials.add(good.as_bytes()).unwrap();
    assert_eq!(found, [Kind::NvidiaManifest]);
    // Alone they attest nothing.
    let error = verify(&[good.as_bytes()]).unwrap_err();
    assert_eq!(error, materials::Error::Manifest("550.144.03".to_owned()));
    let refused = materials::Error::Nvidia(Error::Manifest(ManifestError::Signature));
    assert_eq!(verify(&[broken.as_bytes()]).unwrap_err(), refused);
    let directory = directory().unwrap().join("nvidia/trustee");
    let report = fs::read(directory.join("hopper-550.report.txt")).unwrap();
    let chain = fs::read(directory.join("hopper-550.certs.txt")).unwrap();
    let error = verify(&[&report, &chain, broken.as_bytes()]).unwrap_err();
    assert_eq!(error, refused);
    // It is for another version of the driver.
    let evidence = verify(&[&report, &chain, good.as_bytes()]).unwrap();
    assert!(evidence.summary().flags.iter().all(|flag| !flag.on));
    let steps = evidence.steps().iter();
    let absent = steps.filter(|step| step.found.starts_with("not compared: no manifest for"));
    assert_eq!(absent.count(), 2);
}
