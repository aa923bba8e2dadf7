//! `enarx verify`: what evidence in files is worth.

mod cases;
mod files;
mod result;

use std::path::PathBuf;

use clap::Args;
use enarx_owner_appraisal::{BareEvidence, Policy, Profile, ReferenceValues, appraise_evidence};
use enarx_owner_deployer::application::parse_bytes;
use enarx_owner_evidence::{
    Digest, Genuine, UnixTime,
    cca::PlatformKey,
    materials::{Materials, Roots},
    se,
};
use enarx_wire_launch::Platform;

use self::{files::gather, result::Outcome};
use super::policy;
use crate::{
    console::Console,
    deployment,
    exit::Status,
    failure::{Advice, WithAdvice as _},
    fetching::FetchArguments,
    local_host::keep_image,
    reference::ReferenceArguments,
};

/// Verify evidence of a TEE, offline, and say why
///
/// Nothing is fetched without --fetch. What was fetched before is kept, and used again.
///
/// The files are the evidence and what endorses it, in any order: an SEV-SNP report with
/// its certificates, an SGX or TDX quote with Intel's collateral, in binary, hexadecimal,
/// base64, PEM or JSON. What each is, is told by its contents. No file is trusted: all lead
/// to the vendors' root keys inside this program, or are refused.
///
/// First it is verified that the hardware said it, then your policy is applied. Without
/// --policy that is the built-in `evidence`: genuine, not debuggable, nothing known against
/// the firmware; whatever runs inside.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  enarx verify report.bin vcek.der cert_chain.pem
  enarx verify /sys/kernel/config/tsm/report/mine
  enarx verify quote.bin --collateral collateral/ --policy policy.toml
  enarx verify quote.bin --fetch
  enarx verify quote.hex --collateral collateral/ --now 2026-03-01T00:00:00Z --json
  enarx verify --cases cases.json > verdicts.jsonl

Exit status:
    0  accepted
  118  the files are not evidence, or are damaged
  119  an endorsement or collateral is missing, or is stale
  120  not genuine: the hardware did not say this
  121  genuine, and the policy rejects it")]
pub struct Arguments {
    /// The evidence, and what endorses it; or a folder with both
    ///
    /// Such as one that `enarx attest --save` wrote, or one of Linux's configfs-tsm.
    #[arg(value_name = "FILE", required_unless_present = "cases")]
    files: Vec<PathBuf>,

    /// A folder or a bundle with what the vendors publish
    ///
    /// Certificates, revocation lists, TCB info, enclave identities, of which those that are
    /// needed are chosen. A bundle is what `enarx collateral export` wrote.
    #[arg(short, long, value_name = "PLACE")]
    collateral: Vec<PathBuf>,

    /// A file with the platform keys of Arm CCA that you trust, as JSON Web Keys or PEM
    ///
    /// Arm publishes no root key, so somebody must say whose tokens count.
    #[arg(long, value_name = "FILE")]
    cca_keys: Option<PathBuf>,

    /// A file with the root certificate that you trust to lead to IBM's signing key
    ///
    /// For host key documents of IBM Secure Execution, which attest nothing of what runs: IBM's
    /// key is certified by a public authority. Also takes part in the chain.
    #[arg(long, value_name = "FILE")]
    host_key_root: Option<PathBuf>,

    #[command(flatten)]
    fetch: FetchArguments,

    /// The policy: strict, standard, simulation, evidence or a file
    #[arg(short, long, value_name = "POLICY")]
    policy: Option<PathBuf>,

    #[command(flatten)]
    reference: ReferenceArguments,

    /// Memory of the Keep that `keep-image` in the policy stands for
    #[arg(long, value_name = "SIZE", value_parser = parse_bytes, default_value = "1GiB")]
    keep_memory: u64,

    /// The moment to verify at, such as 2026-03-01T00:00:00Z; by default now
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    now: Option<UnixTime>,

    /// What the evidence must carry as report data, in hexadecimal
    ///
    /// A shorter value stands for itself with zeros behind it.
    #[arg(long, visible_alias = "nonce", value_name = "HEX", value_parser = parse_hex)]
    report_data: Option<Bytes>,

    /// Write JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    result: result::Arguments,

    /// Verify every case of a case file, and write a line of JSON for each
    ///
    /// The file is JSON: `cases` is a list of objects with `id`, `tech`, `files` (paths by
    /// role, relative to the file), `now`, `verdict` and, where it matters, `nonce`;
    /// `derived` a list of changes (`case`, `base`, `op` `xor`, `truncate` or `replace`)
    /// after which a case must be rejected.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["files", "policy", "now"])]
    cases: Option<PathBuf>,
}

/// Bytes that were given in hexadecimal.
#[derive(Debug, Clone)]
struct Bytes(Vec<u8>);

impl Arguments {
    pub fn run(self, console: &Console) -> anyhow::Result<Status> {
        if let Some(file) = &self.cases {
            return cases::run(file, console);
        }
        let now = self.now.unwrap_or_else(deployment::now);
        let policy = self.reference.apply(self.policy()?, now)?;
        let mut materials = gather(&self.files, &self.collateral)?;
        let roots = Roots {
            snp: policy.simulated_roots(),
            dcap: policy.simulated_roots(),
            cca: self.cca_keys()?,
            se: self.host_key_roots(&mut materials)?,
        };
        let mut outcomes = Vec::new();
        for device in materials.by_device() {
            outcomes.push(self.outcome(&device, &roots, &policy, now, console)?);
        }
        let outcome = Outcome::of(outcomes);
        self.result.write(&outcome, now)?;
        outcome.show(console, self.json)?;
        Ok(outcome.status())
    }

    fn outcome(
        &self,
        materials: &Materials,
        roots: &Roots,
        policy: &Policy,
        now: UnixTime,
        console: &Console,
    ) -> anyhow::Result<Outcome> {
        let evidence = match self.fetch.verify(materials, roots, now, console)? {
            Err(error) => return Ok(Outcome::Unverified(error)),
            Ok(evidence) => evidence,
        };
        let bare = BareEvidence {
            evidence: &evidence,
            report_data: self.report_data.as_ref().map(|bytes| bytes.0.as_slice()),
            now,
        };
        let verdict = appraise_evidence(&bare, policy, &self.keep_images());
        Ok(Outcome::Appraised {
            evidence: Box::new(evidence),
            verdict,
        })
    }

    fn cca_keys(&self) -> anyhow::Result<Vec<PlatformKey<Genuine>>> {
        let Some(file) = &self.cca_keys else {
            return Ok(Vec::new());
        };
        PlatformKey::read(&files::read(file)?).with_advice(|| {
            (
                format!("{} holds no platform keys", file.display()),
                "give a public key on P-256, P-384 or P-521: a JSON Web Key, a list of objects with \
                 one under `pkey`, or PEM",
            )
        })
    }

    fn host_key_roots(&self, materials: &mut Materials) -> anyhow::Result<Vec<Digest>> {
        let Some(file) = &self.host_key_root else {
            return Ok(Vec::new());
        };
        let root = gather(core::slice::from_ref(file), &[])?;
        let digests = se::roots(&root.certificates()).with_advice(|| {
            (
                format!("{} holds no root", file.display()),
                "give a certificate, in PEM or DER",
            )
        })?;
        materials.add_endorsements(root);
        Ok(digests)
    }

    /// The measurements of the Keep image inside this program, on every platform.
    fn keep_images(&self) -> ReferenceValues {
        let image = keep_image();
        let values = Platform::ALL
            .map(|platform| ReferenceValues::of_keep_image(platform, &image, self.keep_memory));
        values.into_iter().collect()
    }

    fn policy(&self) -> anyhow::Result<Policy> {
        match &self.policy {
            Some(policy) => policy::named_or_read(policy),
            None => Ok(Profile::Evidence.policy()),
        }
    }
}

fn parse_time(text: &str) -> anyhow::Result<UnixTime> {
    let advice = || {
        Advice::error(
            "this is no moment",
            "write it as 2026-03-01T00:00:00Z, in UTC, or as seconds since 1970",
        )
    };
    if let Ok(seconds) = text.parse() {
        return Ok(UnixTime(seconds));
    }
    let time = humantime::parse_rfc3339(text).map_err(|_| advice())?;
    let since = time.duration_since(std::time::UNIX_EPOCH);
    Ok(UnixTime(since.map_err(|_| advice())?.as_secs()))
}

fn parse_hex(text: &str) -> anyhow::Result<Bytes> {
    match hex::decode(text) {
        Ok(bytes) if !bytes.is_empty() => Ok(Bytes(bytes)),
        _ => Err(Advice::error(
            "this is not hexadecimal",
            "write two digits for each byte",
        )),
    }
}
