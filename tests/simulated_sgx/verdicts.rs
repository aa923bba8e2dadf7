//! Appraisal of verified quotes.

use enarx_host_simulator::sgx::{Attributes, EnclaveIdentity};
use enarx_owner_appraisal::{
    Level, Permission, Policy, Profile, ReferenceValues, Submission, Verdict, appraise,
    ear::{Tier, TrustClaim},
};
use enarx_owner_evidence::SimulatedRoots;
use enarx_wire_launch::{EvidenceFormat, Platform};

use crate::{
    machine::{HOST_DATA, MRENCLAVE, REPORT_DATA, enclave, machine, now, quote},
    quotes::verified_collateral,
};

fn policy() -> Policy {
    Policy {
        host_data: Some(HOST_DATA),
        ..Profile::Simulation.policy()
    }
}

/// The verdict on a Keep in `enclave` that claims to be on `platform`.
fn verdict(enclave: &EnclaveIdentity, platform: Platform, policy: &Policy) -> Verdict {
    let quote = quote(machine(), enclave, &REPORT_DATA);
    let collateral = verified_collateral(machine().endorsements(), &SimulatedRoots::Any).unwrap();
    let evidence = collateral.verify_quote(&quote, now()).unwrap();
    appraise(
        &Submission {
            evidence: Ok(&evidence),
            format: EvidenceFormat::SgxQuote,
            platform,
            report_data: &REPORT_DATA,
            now: now(),
        },
        policy,
        &ReferenceValues::new([MRENCLAVE]),
    )
}

/// The names of the checks that did not pass.
fn failures(verdict: &Verdict) -> Vec<&str> {
    let failed = verdict.checks().iter().filter(|check| !check.passed);
    failed.map(|check| &*check.name).collect()
}

#[test]
fn a_verdict_is_simulated_at_best() {
    let verdict = verdict(&enclave(), Platform::Sgx, &policy());
    assert_eq!(failures(&verdict), [""; 0]);
    assert_eq!(verdict.level(), Level::Simulated);
    let anchor = verdict
        .checks()
        .iter()
        .find(|check| check.name == "trust anchor");
    let actual = &anchor.unwrap().actual;
    assert!(actual.starts_with("simulated, Enarx Simulator SGX Root CA"));
    // Others are told not to trust its hardware, whatever the policy allows.
    let result = verdict.to_appraisal();
    assert_eq!(result.status(), Tier::Contraindicated);
    let vector = result.trust_vector().unwrap();
    assert_eq!(vector.hardware, TrustClaim::UNRECOGNIZED);
    assert_eq!(vector.executables, TrustClaim::AFFIRMED);
}

#[test]
fn each_thing_that_is_not_as_the_policy_wants_is_refused() {
    let good = enclave();
    let debugged = EnclaveIdentity {
        attributes: Attributes {
            flags: good.attributes.flags | Attributes::DEBUG,
            ..good.attributes
        },
        ..good
    };
    let mut longer_host_data = good;
    longer_host_data.config_id[32] = 1;
    let other_host_data = EnclaveIdentity {
        config_id: [0; 64],
        ..good
    };
    let other_measurement = EnclaveIdentity {
        mrenclave: [0x3F; 32],
        ..good
    };
    for (enclave, failure) in [
        (debugged, "debug"),
        (longer_host_data, "host data"),
        (other_host_data, "host data"),
        (other_measurement, "measurement"),
    ] {
        let verdict = verdict(&enclave, Platform::Sgx, &policy());
        assert_eq!(failures(&verdict), [failure]);
        assert_eq!(verdict.level(), Level::Rejected);
    }
    let debugging = Policy {
        debug: Permission::Allow,
        ..policy()
    };
    let allowed = verdict(&debugged, Platform::Sgx, &debugging);
    assert_eq!(allowed.level(), Level::Simulated);
}

#[test]
fn a_policy_must_allow_simulators_and_may_name_them() {
    let refused = |policy: &Policy| failures(&verdict(&enclave(), Platform::Sgx, policy)).concat();
    let denied = Policy {
        simulation: Permission::Deny,
        ..policy()
    };
    assert_eq!(refused(&denied), "trust anchor");
    let others = Policy {
        simulation_roots: Some(vec![[7; 48]]),
        ..policy()
    };
    assert_eq!(refused(&others), "trust anchor");
}

#[test]
fn a_quote_proves_no_other_kind_of_keep() {
    for platform in Platform::ALL {
        let verdict = verdict(&enclave(), platform, &policy());
        let expected: &[&str] = match platform {
            Platform::Sgx => &[],
            Platform::Cvm => &["platform evidence", "confidential VM"],
            _ => &["platform evidence"],
        };
        assert_eq!(failures(&verdict), expected, "{platform}");
    }
}
