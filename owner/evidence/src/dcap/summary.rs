//! What a quote says, in words common to all technologies.

use crate::{Assurance, Flag, Number, Summary, Technology, Value, VerifiedEvidence};

use super::{Body, EnclaveReport, Platform, TdReport, VerifiedQuote};

impl<A: Assurance> From<VerifiedQuote<A>> for VerifiedEvidence<A> {
    fn from(quote: VerifiedQuote<A>) -> Self {
        let steps = quote.steps();
        Self::new(summary(&quote), steps)
    }
}

fn summary<A: Assurance>(quote: &VerifiedQuote<A>) -> Summary {
    let evaluation = Number {
        name: "evaluation_number",
        value: quote.evaluation_number().into(),
    };
    let said = match quote.body() {
        Body::Sgx(report) => Said::by_enclave(report),
        Body::Tdx(report) => Said::by_td(report),
    };
    let platform = quote.platform();
    let (anchor, anchor_name) = quote.anchor();
    let fmspc = value("fmspc", &platform.fmspc);
    Summary {
        technology: said.technology,
        product: said.technology.as_str(),
        measurement: said.measurement,
        report_data: quote.body().report_data().to_vec(),
        host_data: Some(said.host_data),
        debug: quote.body().debug(),
        migratable: said.migratable,
        privilege_level: None,
        machine: Some(platform.ppid.to_vec()),
        tcb: Vec::new(),
        tcb_status: Some(quote.tcb_status().as_str()),
        advisories: quote.advisories().to_vec(),
        flags: said.flags.into_iter().chain(flags(platform)).collect(),
        numbers: said.numbers.into_iter().chain([evaluation]).collect(),
        values: said.values.into_iter().chain([fmspc]).collect(),
        revocation_checked: true,
        collateral_issued: Some(quote.collateral_issued()),
        anchor: *anchor,
        anchor_name: anchor_name.to_owned(),
        validity: quote.validity(),
    }
}

/// What depends on the TEE.
struct Said {
    technology: Technology,
    measurement: Vec<u8>,
    host_data: Vec<u8>,
    migratable: bool,
    flags: Vec<Flag>,
    numbers: Vec<Number>,
    values: Vec<Value>,
}

impl Said {
    fn by_enclave(report: &EnclaveReport) -> Self {
        let attributes = report.attributes[0];
        Self {
            technology: Technology::Sgx,
            measurement: report.mr_enclave.to_vec(),
            host_data: report.config_id.to_vec(),
            migratable: false,
            // ATTRIBUTES (Intel SDM, volume 3D, table of the layout of ATTRIBUTES).
            flags: vec![
                flag("debug", attributes, 1),
                flag("mode64bit", attributes, 2),
                flag("provision_key", attributes, 4),
                flag("einittoken_key", attributes, 5),
                flag("kss", attributes, 7),
            ],
            numbers: vec![
                number("isv_prod_id", report.isv_prod_id),
                number("isv_svn", report.isv_svn),
                number("config_svn", report.config_svn),
                number("misc_select", report.misc_select),
            ],
            values: vec![
                value("mrsigner", &report.mr_signer),
                value("config_id", &report.config_id),
                value("isv_family_id", &report.isv_family_id),
                value("isv_ext_prod_id", &report.isv_ext_prod_id),
                value("xfrm", &report.attributes[8..]),
            ],
        }
    }

    fn by_td(report: &TdReport) -> Self {
        let [first, _, _, fourth, .., last] = report.td_attributes;
        // TDATTRIBUTES (Intel TDX module ABI, structure ATTRIBUTES).
        let migratable = flag("migratable", fourth, 5);
        let mut values = vec![
            value("mrconfigid", &report.mr_config_id),
            value("mrowner", &report.mr_owner),
            value("mrownerconfig", &report.mr_owner_config),
            value("mrseam", &report.mr_seam),
            value("mrsignerseam", &report.mr_signer_seam),
            value("td_attributes", &report.td_attributes),
            value("xfam", &report.xfam),
        ];
        let names = ["rtmr0", "rtmr1", "rtmr2", "rtmr3"];
        values.extend(
            names
                .iter()
                .zip(&report.rtmrs)
                .map(|(name, rtmr)| value(name, rtmr)),
        );
        if let Some(newer) = &report.version_1_5 {
            values.push(value("mrservicetd", &newer.mr_service_td));
        }
        Self {
            technology: Technology::Tdx,
            measurement: report.mr_td.to_vec(),
            host_data: report.mr_config_id.to_vec(),
            migratable: migratable.on,
            flags: vec![
                flag("debug", first, 0),
                flag("sept_ve_disable", fourth, 4),
                migratable,
                flag("pks", fourth, 6),
                flag("key_locker", fourth, 7),
                flag("perfmon", last, 7),
            ],
            numbers: Vec::new(),
            values,
        }
    }
}

/// What a certificate of a platform with several processors tells of its settings.
fn flags(platform: &Platform) -> Vec<Flag> {
    [
        ("dynamic_platform", platform.dynamic),
        ("cached_keys", platform.cached_keys),
        ("smt_enabled", platform.smt_enabled),
    ]
    .into_iter()
    .filter_map(|(name, on)| Some(Flag { name, on: on? }))
    .collect()
}

fn flag(name: &'static str, byte: u8, bit: u8) -> Flag {
    Flag {
        name,
        on: byte >> bit & 1 == 1,
    }
}

fn number(name: &'static str, value: impl Into<u64>) -> Number {
    Number {
        name,
        value: value.into(),
    }
}

fn value(name: &'static str, bytes: &[u8]) -> Value {
    Value {
        name,
        bytes: bytes.to_vec(),
    }
}
