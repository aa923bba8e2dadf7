//! The verdicts of others on the same evidence, also after changes to it.
//!
//! Where two verifiers differ, one of them is wrong or they answer different questions. Each
//! difference that there is has its reason here.

use std::{collections::BTreeMap, fs, iter};

use enarx_evidence_benches::{their_collateral, vectors};
use enarx_owner_evidence::{
    UnixTime,
    dcap::{self, Collateral, CollateralBytes},
    snp::{self, AMD_AUTHORITIES, Certificates},
};
use serde_json::Value;
use sev::{
    certs::snp::{Certificate, Chain, Verifiable as _, ca},
    firmware::guest::AttestationReport,
    parser::ByteParser as _,
};

type Files = BTreeMap<String, Vec<u8>>;

/// The cases of some technologies with their files; says so and gives none where there are
/// no vectors.
fn cases(technologies: &[&str]) -> Vec<(String, UnixTime, Files)> {
    let Some(vectors) = vectors() else {
        return Vec::new();
    };
    let text = fs::read(vectors.join("cases.json")).unwrap();
    let all: Value = serde_json::from_slice(&text).unwrap();
    let all = all["cases"].as_array().unwrap().iter();
    all.filter(|case| technologies.contains(&case["tech"].as_str().unwrap()))
        .map(|case| {
            let files = case["files"].as_object().unwrap().iter();
            let files = files.map(|(role, path)| {
                let bytes = fs::read(vectors.join(path.as_str().unwrap())).unwrap();
                (role.clone(), bytes)
            });
            let now = humantime::parse_rfc3339(case["now"].as_str().unwrap()).unwrap();
            let now = now.duration_since(std::time::UNIX_EPOCH).unwrap();
            let id = case["id"].as_str().unwrap().to_owned();
            (id, UnixTime(now.as_secs()), files.collect())
        })
        .collect()
}

/// The evidence itself, and with the byte at each of many offsets changed.
fn variants(evidence: &[u8]) -> impl Iterator<Item = (Option<usize>, Vec<u8>)> {
    let changed = (0..evidence.len()).step_by(23).map(|offset| {
        let mut changed = evidence.to_vec();
        changed[offset] ^= 0x04;
        (Some(offset), changed)
    });
    iter::once((None, evidence.to_vec())).chain(changed)
}

/// Verdicts on one piece of evidence: what was accepted, or why it was not.
struct Verdicts {
    ours: Result<String, String>,
    theirs: Result<String, String>,
}

/// The comparison with another verifier.
#[derive(Default)]
struct Comparison {
    accepted: usize,
    refused: usize,
    explained: usize,
    unexplained: Vec<String>,
}

impl Comparison {
    fn add(&mut self, what: String, verdicts: &Verdicts, explained: bool) {
        let Verdicts { ours, theirs } = verdicts;
        match (ours, theirs) {
            (Ok(ours), Ok(theirs)) if ours == theirs => self.accepted += 1,
            (Err(_), Err(_)) => self.refused += 1,
            _ if explained => self.explained += 1,
            _ => self
                .unexplained
                .push(format!("{what}: ours {ours:?}, theirs {theirs:?}")),
        }
    }

    fn finish(self, rival: &str) {
        let Self {
            accepted,
            refused,
            explained,
            unexplained,
        } = self;
        if accepted + refused == 0 {
            return;
        }
        println!(
            "as {rival}: {accepted} accepted alike, {refused} refused by both, {explained} \
             differences explained"
        );
        assert!(accepted > 0 && refused > 0);
        assert!(unexplained.is_empty(), "{unexplained:#?}");
    }
}

/// A quote in binary, from whatever text stands for it.
fn binary(file: &[u8]) -> Vec<u8> {
    let decode = |text: &str| hex::decode(text.trim().trim_start_matches("0x")).ok();
    let decoded = str::from_utf8(file).ok().and_then(decode);
    decoded.unwrap_or_else(|| file.to_vec())
}

fn der(file: &[u8]) -> Vec<u8> {
    match pem::parse(file) {
        Ok(block) => block.into_contents(),
        Err(_) => file.to_vec(),
    }
}

#[test]
fn quotes_are_judged_as_by_dcap_qvl() {
    let mut comparison = Comparison::default();
    for (id, now, files) in cases(&["sgx", "tdx"]) {
        let (Some(tcb_info), Some(qe_identity)) = (files.get("tcb_info"), files.get("qe_identity"))
        else {
            continue;
        };
        let signing = ["tcb_signing_cert", "root"].map(|role| der(&files[role]));
        let lists = ["pck_crl", "root_crl"].map(|role| der(&files[role]));
        let certificates: Vec<&[u8]> = signing.iter().map(Vec::as_slice).collect();
        let bytes = CollateralBytes {
            tcb_info,
            qe_identity,
            certificates: &certificates,
            pck_revocations: &lists[0],
            root_revocations: &lists[1],
        };
        let quote = binary(&files["quote"]);
        let ours = Collateral::verify(&bytes, dcap::GenuineRoots, now);
        let theirs = their_collateral(&quote, &bytes, &signing);
        let root = root_in(&quote);
        for (offset, quote) in variants(&quote) {
            let ours = ours.as_ref().map_err(ToString::to_string);
            let ours = ours.and_then(|collateral| {
                let quote = collateral.verify_quote(&quote, now);
                let quote = quote.map_err(|error| error.to_string())?;
                // They refuse it, we leave it to the policy.
                if quote.body().debug() {
                    return Err("debug".to_owned());
                }
                let advisories = quote.advisories().join(" ");
                Ok(format!("{} {advisories}", quote.tcb_status()))
            });
            let theirs = theirs.as_ref().map_err(ToString::to_string);
            let theirs = theirs.and_then(|collateral| {
                let report = dcap_qvl::verify::verify(&quote, collateral, now.0);
                let report = report.map_err(|error| error.to_string())?;
                let mut advisories = report.advisory_ids;
                advisories.sort_unstable();
                Ok(format!("{} {}", report.status, advisories.join(" ")))
            });
            let explained = match (&ours, &theirs) {
                // They do not look at the root in the quote, but put their own there.
                (Err(_), Ok(_)) => offset
                    .zip(root)
                    .is_some_and(|(offset, root)| root <= offset),
                (Ok(_), Err(error)) => [
                    // What our policies can demand.
                    "SEPT_VE_DISABLE is not enabled",
                    "Invalid MR service TD",
                    // Version 2, which Intel served up to API version 3.
                    "Failed to decode TcbInfo",
                ]
                .contains(&error.as_str()),
                _ => false,
            };
            let what = format!("{id} changed at {offset:?}");
            comparison.add(what, &Verdicts { ours, theirs }, explained);
        }
    }
    comparison.finish("dcap-qvl");
}

/// Where the last of the certificates in a quote begins, which in all of these is the root.
fn root_in(quote: &[u8]) -> Option<usize> {
    let begin = b"-----BEGIN CERTIFICATE-----";
    quote
        .windows(begin.len())
        .rposition(|window| window == begin)
}

#[test]
fn reports_are_judged_as_by_sev() {
    let mut comparison = Comparison::default();
    for (id, now, files) in cases(&["snp"]) {
        let (Some(report), Some(vek)) = (files.get("report"), files.get("vek")) else {
            continue;
        };
        let vek = der(vek);
        let authorities = pem::parse_many(&files["cas"]).unwrap_or_default();
        let mut bag: Vec<&[u8]> = authorities.iter().map(|block| block.contents()).collect();
        bag.extend(AMD_AUTHORITIES);
        bag.push(&vek);
        let Ok(parsed) = snp::Report::parse(&binary(report)) else {
            continue;
        };
        let Ok(certificates) = Certificates::among(&bag, &parsed) else {
            continue;
        };
        let key = snp::EndorsementKey::verify(&certificates, &snp::GenuineRoots, now);
        let chain = their_chain(&certificates, &vek);
        for (offset, report) in variants(&binary(report)) {
            let ours = key.as_ref().map_err(ToString::to_string).and_then(|key| {
                let report = key.verify_report(&report, now);
                report
                    .map(|_| "genuine".to_owned())
                    .map_err(|error| error.to_string())
            });
            let theirs = chain.as_ref().map_err(ToString::to_string);
            let theirs = theirs.and_then(|chain| {
                let report = AttestationReport::from_bytes(&report);
                let report = report.map_err(|error| error.to_string())?;
                let verified = (chain, &report).verify();
                verified
                    .map(|()| "genuine".to_owned())
                    .map_err(|error| error.to_string())
            });
            let explained = match (&ours, &theirs) {
                (Err(error), Ok(_)) => {
                    // They do not look at validity, and lose reserved bytes when they read a
                    // report: those of TCB versions, and those behind the signature.
                    let reserved = |offset: usize| {
                        let tcbs = [0x38, 0x180, 0x1e0, 0x1f0];
                        offset >= 0x330
                            || tcbs.iter().any(|tcb| (tcb + 2..tcb + 6).contains(&offset))
                    };
                    error.contains("has expired") || offset.is_some_and(reserved)
                }
                // A masked chip hides nothing that a VLEK would name.
                (Ok(_), Err(error)) => error.starts_with("MASK_CHIP_ID is enabled"),
                _ => false,
            };
            let what = format!("{id} changed at {offset:?}");
            comparison.add(what, &Verdicts { ours, theirs }, explained);
        }
    }
    comparison.finish("sev");
}

fn their_chain(certificates: &Certificates<'_>, vek: &[u8]) -> anyhow::Result<Chain> {
    Ok(Chain {
        ca: ca::Chain {
            ark: Certificate::from_der(certificates.root)?,
            ask: Certificate::from_der(certificates.signing_authority)?,
        },
        vek: Certificate::from_der(vek)?,
    })
}
