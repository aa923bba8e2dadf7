//! SGX and TDX quotes of real processors, judged with Intel's collateral of the time.

use std::{collections::BTreeMap, fs, path::Path};

use enarx_owner_evidence::{
    FailureKind, Genuine, Technology, UnixTime, VerifiedEvidence,
    dcap::{Collateral, CollateralBytes, Error, GenuineRoots, VerifiedQuote},
};
use serde_json::Value;

use crate::vectors::{directory, time};

/// The files of a case, by their roles.
type Files = BTreeMap<String, Vec<u8>>;

/// The files that Intel's collateral is made of.
const COLLATERAL: [&str; 7] = [
    "tcb_info",
    "qe_identity",
    "tcb_signing_cert",
    "qe_signing_cert",
    "root",
    "pck_crl",
    "root_crl",
];

fn read(directory: &Path, case: &Value) -> Files {
    let files = case["files"].as_object().unwrap().iter();
    files
        .map(|(role, path)| {
            let path = directory.join(path.as_str().unwrap());
            (role.clone(), fs::read(path).unwrap())
        })
        .collect()
}

fn collateral(files: &Files, now: UnixTime) -> Result<Collateral<GenuineRoots>, Error> {
    let [
        tcb_info,
        qe_identity,
        tcb_signing,
        qe_signing,
        root,
        pck,
        list,
    ] = COLLATERAL.map(|role| files[role].as_slice());
    let bytes = CollateralBytes {
        tcb_info,
        qe_identity,
        certificates: &[tcb_signing, qe_signing, root],
        pck_revocations: pck,
        root_revocations: list,
    };
    Collateral::verify(&bytes, GenuineRoots, now)
}

fn verify(files: &Files, now: UnixTime) -> Result<VerifiedQuote<Genuine>, Error> {
    collateral(files, now)?.verify_quote(&files["quote"], now)
}

/// The cases that have collateral, with their files.
fn cases() -> Option<(Vec<(Value, Files)>, Value)> {
    let directory = directory()?;
    let text = fs::read(directory.join("cases.json")).unwrap();
    let mut document: Value = serde_json::from_slice(&text).unwrap();
    let cases = document["cases"].as_array().unwrap().iter();
    let cases = cases
        .filter(|case| case["files"]["tcb_info"].is_string())
        .map(|case| (case.clone(), read(&directory, case)))
        .collect();
    Some((cases, document["derived"].take()))
}

fn now(case: &Value) -> UnixTime {
    time(case["now"].as_str().unwrap())
}

/// Listed without advisories, because TCB info of version 2 has none. The QE identity of
/// the case has one for the level that the quoting enclave reaches ("advisoryIDs" of a
/// TCB level, Intel PCS API version 4, `EnclaveIdentityV2`), as it does in the same quote's
/// case with TCB info of version 3, where it is listed.
const ADVISORY_OF_QE_ALONE: &str = "sgx-openenclave-evidence-3346527d-2";

#[test]
fn every_quote_gets_its_status_and_advisories() {
    let Some((cases, _)) = cases() else {
        return;
    };
    let mut wrong = Vec::new();
    for (case, files) in &cases {
        let verdict = case["verdict"].as_str().unwrap();
        let result = verify(files, now(case));
        let right = match (&result, verdict) {
            (Err(error), "REJECT(stale collateral)") => error.kind() == FailureKind::Collateral,
            (Err(error), "REJECT") => error.kind() == FailureKind::NotGenuine,
            (Ok(quote), _) => {
                let advisories: Vec<_> = case["advisories"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .map(|one| one.as_str().unwrap().to_owned())
                    .collect();
                let mut advisories = advisories;
                if case["id"] == ADVISORY_OF_QE_ALONE {
                    advisories.push("INTEL-SA-00615".to_owned());
                }
                advisories.sort_unstable();
                case["tcb_status"] == quote.tcb_status().as_str()
                    && quote.advisories() == advisories
                    && case["debug"] == quote.body().debug()
                    && case["report_data"] == hex::encode(quote.body().report_data())
                    && !verdict.starts_with("REJECT(stale")
            }
            _ => false,
        };
        if !right {
            let found = result.map(|quote| (quote.tcb_status(), quote.advisories().to_vec()));
            wrong.push(format!(
                "{}: {verdict} {}: {found:?}",
                case["id"], case["advisories"]
            ));
        }
    }
    println!("{} quotes with collateral", cases.len());
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn what_was_changed_is_refused() {
    let Some((cases, derived)) = cases() else {
        return;
    };
    let mut count = 0;
    for change in derived.as_array().unwrap() {
        let Some((case, files)) = cases.iter().find(|(case, _)| case["id"] == change["case"])
        else {
            continue;
        };
        let mut roles = case["files"].as_object().unwrap().iter();
        let (role, _) = roles.find(|(_, path)| **path == change["base"]).unwrap();
        let mut files = files.clone();
        let file = files.get_mut(role).unwrap();
        match change["op"].as_str().unwrap() {
            "xor" => {
                file[change["offset"].as_u64().unwrap() as usize] ^=
                    u8::try_from(change["value"].as_u64().unwrap()).unwrap();
            }
            "replace" => {
                let text = String::from_utf8(file.clone()).unwrap();
                let [find, with] = ["find", "with_"].map(|key| change[key].as_str().unwrap());
                assert!(text.contains(find));
                *file = text.replacen(find, with, 1).into_bytes();
            }
            other => panic!("unknown change {other}"),
        }
        count += 1;
        assert!(
            verify(&files, now(case)).is_err(),
            "{}: {}",
            case["id"],
            change["what"]
        );
    }
    println!("{count} changed files");
}

/// A case that is accepted.
fn accepted() -> Option<(Value, Files)> {
    cases()?
        .0
        .into_iter()
        .find(|(case, _)| case["verdict"] == "ACCEPT")
}

#[test]
fn nothing_of_the_collateral_can_be_changed() {
    let Some((case, files)) = accepted() else {
        return;
    };
    for role in COLLATERAL {
        // The two signing certificates are one and the same file in most cases, and either
        // will do.
        if role.ends_with("signing_cert") {
            continue;
        }
        for position in (0..files[role].len()).step_by(101) {
            let mut changed = files.clone();
            changed.get_mut(role).unwrap()[position] ^= 1;
            let result = verify(&changed, now(&case));
            assert!(result.is_err(), "{role}, byte {position}");
        }
    }
}

#[test]
fn collateral_of_another_platform_or_tee_is_refused() {
    let Some((cases, _)) = cases() else {
        return;
    };
    let mut foreign = 0;
    for (case, files) in &cases {
        let Ok(collateral) = collateral(files, now(case)) else {
            continue;
        };
        for (other, other_files) in &cases {
            if other["files"]["tcb_info"] == case["files"]["tcb_info"] {
                continue;
            }
            match collateral.verify_quote(&other_files["quote"], now(case)) {
                Err(Error::Fmspc { .. } | Error::CollateralKind { .. }) => foreign += 1,
                // Other collateral for the same kind of platform, or a certificate of
                // another authority, whose list is not there.
                _ => assert_ne!(other["id"], case["id"]),
            }
        }
    }
    println!("{foreign} refused");
    assert!(foreign > 0);
}

#[test]
fn what_has_expired_since_it_was_verified_is_refused() {
    let Some((case, files)) = accepted() else {
        return;
    };
    let collateral = collateral(&files, now(&case)).unwrap();
    let quote = collateral
        .verify_quote(&files["quote"], now(&case))
        .unwrap();
    let end = quote.validity().not_after;
    assert!(collateral.verify_quote(&files["quote"], end).is_ok());
    for late in [UnixTime(end.0 + 1), UnixTime(0), UnixTime(u64::MAX)] {
        let error = collateral.verify_quote(&files["quote"], late).unwrap_err();
        assert_eq!(error.kind(), FailureKind::Collateral, "{error}");
    }
}

#[test]
fn the_particulars_have_the_names_that_policies_know() {
    let Some((cases, _)) = cases() else {
        return;
    };
    for (case, files) in &cases {
        let Ok(quote) = verify(files, now(case)) else {
            continue;
        };
        let evidence = VerifiedEvidence::from(quote);
        let summary = evidence.summary();
        let names = summary.technology.names();
        assert!(
            summary
                .flags
                .iter()
                .all(|flag| names.flags.contains(&flag.name))
        );
        assert!(
            summary
                .numbers
                .iter()
                .all(|one| names.numbers.contains(&one.name))
        );
        assert!(
            summary
                .values
                .iter()
                .all(|one| names.values.contains(&one.name))
        );
        let version_1_5 = summary.values.iter().any(|one| one.name == "mrservicetd");
        let missing = if summary.technology == Technology::Tdx && !version_1_5 {
            1
        } else {
            0
        };
        // Registers of a virtual TPM are in evidence from behind one alone.
        let own = names.values.iter().filter(|name| !name.starts_with("pcr"));
        assert_eq!(summary.values.len() + missing, own.count());
        assert_eq!(summary.numbers.len(), names.numbers.len());
        assert_eq!(evidence.steps().len(), 5);
    }
}
