//! TCB info: which security versions Intel thinks what of.

use crate::{UnixTime, Validity};

use super::{
    DocumentError, Error, Kind, Platform, TcbStatus, TdReport,
    document::{self, ModuleDocument, TcbInfoDocument, fresh},
};

/// TCB info of one kind of platform (Intel PCS API version 4, `TcbInfoV2` and
/// `TcbInfoV3`).
#[derive(Debug)]
pub(super) struct TcbInfo {
    pub(super) kind: Kind,
    pub(super) fmspc: [u8; 6],
    pub(super) pce_id: [u8; 2],
    pub(super) evaluation_number: u32,
    pub(super) period: Validity,
    module: Option<Module>,
    module_identities: Vec<(String, Module, Vec<Level<u16>>)>,
    levels: Vec<Level<PlatformTcb>>,
}

/// A TDX module, by its signer and attributes.
#[derive(Debug)]
struct Module {
    mr_signer: [u8; 48],
    attributes: [u8; 8],
    mask: [u8; 8],
}

/// What a level demands of a platform.
#[derive(Debug)]
struct PlatformTcb {
    sgx: [u8; 16],
    tdx: [u8; 16],
    pce_svn: u16,
}

/// A level of security versions, and what Intel thinks of it.
#[derive(Debug)]
pub(super) struct Level<T> {
    tcb: T,
    pub(super) status: TcbStatus,
    pub(super) date: UnixTime,
    pub(super) advisories: Vec<String>,
}

/// What Intel thinks of a platform, before the quoting enclave is considered.
#[derive(Debug)]
pub(super) struct Judgement<'a> {
    pub(super) status: TcbStatus,
    pub(super) date: UnixTime,
    /// Of all levels that were met.
    pub(super) advisories: Vec<&'a [String]>,
}

impl TcbInfo {
    /// Takes the document over, which must be fresh at the time `now`.
    pub(super) fn new(document: TcbInfoDocument, now: UnixTime) -> Result<Self, DocumentError> {
        let kind = match (document.version, document.id.as_deref()) {
            (2, None) | (3, Some("SGX")) => Kind::Sgx,
            (3, Some("TDX")) => Kind::Tdx,
            (2 | 3, _) => return Err(DocumentError::Identifier),
            (version, _) => return Err(DocumentError::Version(version)),
        };
        if document.tcb_type != 0 {
            return Err(DocumentError::TcbType(document.tcb_type));
        }
        let levels = document.tcb_levels.0.into_iter().map(|level| {
            let tdx = match (kind, level.tcb.tdx) {
                (Kind::Tdx, None) => return Err(DocumentError::TdxComponents),
                (_, tdx) => tdx.unwrap_or_default(),
            };
            let tcb = PlatformTcb {
                sgx: level.tcb.sgx,
                tdx,
                pce_svn: level.tcb.pce_svn,
            };
            Ok(Level {
                tcb,
                status: level.tcb_status.0,
                date: level.tcb_date.0,
                advisories: level.advisory_ids.0,
            })
        });
        let identities = document.tdx_module_identities.0.into_iter();
        Ok(Self {
            kind,
            fmspc: document.fmspc.0,
            pce_id: document.pce_id.0,
            evaluation_number: document.tcb_evaluation_data_number,
            period: fresh(document.issue_date, document.next_update, now)?,
            module: document.tdx_module.as_ref().map(Module::new),
            module_identities: identities
                .map(|identity| {
                    let module = Module::new(&identity.module());
                    (identity.id, module, enclave_levels(identity.tcb_levels.0))
                })
                .collect(),
            levels: levels.collect::<Result<_, _>>()?,
        })
    }

    /// Judges a platform that runs an enclave.
    pub(super) fn judge_sgx(&self, platform: &Platform) -> Result<Judgement<'_>, Error> {
        let level = self.first(|tcb| tcb.is_met_by(platform))?;
        Ok(Judgement {
            status: level.status,
            date: level.date,
            advisories: vec![&level.advisories],
        })
    }

    /// Judges a platform that runs a TD, with the TDX module under which the TD was
    /// launched.
    pub(super) fn judge_tdx(
        &self,
        platform: &Platform,
        report: &TdReport,
    ) -> Result<Judgement<'_>, Error> {
        let module = self.module(report)?;
        let sgx = self.first(|tcb| tcb.is_met_by(platform))?;
        let tdx =
            self.first(|tcb| tcb.is_met_by(platform) && tcb.is_met_by_module(&report.tee_tcb_svn))?;
        let mut judgement = Judgement {
            status: tdx.status,
            date: tdx.date,
            advisories: vec![&tdx.advisories],
        };
        let Some(module) = module else {
            return Ok(judgement);
        };
        judgement.status = tdx.status.worsened_by(module.status);
        judgement.date = judgement.date.min(module.date);
        judgement.advisories.push(&module.advisories);
        let relaunched = judgement.status.after_relaunch(sgx.status);
        if module.status == TcbStatus::OutOfDate
            && relaunched != judgement.status
            && let Some(now) = &report.version_1_5
            && self.is_newest(&now.tee_tcb_svn_2)?
        {
            judgement.status = relaunched;
        }
        Ok(judgement)
    }

    /// The level of the TDX module, after its identity was checked; `None` for modules
    /// that have none of their own because they are of the first version.
    fn module(&self, report: &TdReport) -> Result<Option<&Level<u16>>, Error> {
        let [svn, version, ..] = report.tee_tcb_svn;
        let (module, levels) = match version {
            0 => (
                self.module
                    .as_ref()
                    .ok_or(Error::TdxModuleUnknown { version })?,
                None,
            ),
            _ => {
                let (module, levels) = self.identity(version)?;
                (module, Some(levels))
            }
        };
        if !module.is(report) {
            return Err(Error::TdxModule);
        }
        let Some(levels) = levels else {
            return Ok(None);
        };
        let level = enclave_level(levels, svn.into());
        level.map(Some).ok_or(Error::TdxModuleLevel { svn })
    }

    fn identity(&self, version: u8) -> Result<(&Module, &[Level<u16>]), Error> {
        let wanted = format!("TDX_{version:02X}");
        self.module_identities
            .iter()
            .find(|(id, _, _)| id.eq_ignore_ascii_case(&wanted))
            .map(|(_, module, levels)| (module, levels.as_slice()))
            .ok_or(Error::TdxModuleUnknown { version })
    }

    /// Whether a TDX module with these security versions is the newest that Intel knows.
    fn is_newest(&self, svns: &[u8; 16]) -> Result<bool, Error> {
        let [svn, version, seam_loader, ..] = *svns;
        let Some(latest) = self.levels.first() else {
            return Err(Error::NoTcbLevel);
        };
        let [latest_svn, _, latest_seam_loader, ..] = latest.tcb.tdx;
        let newest = match version {
            0 => u16::from(latest_svn),
            _ => match self.identity(version)?.1 {
                [] => return Err(Error::TdxModuleLevel { svn }),
                [newest, ..] => newest.tcb,
            },
        };
        Ok(newest <= u16::from(svn) && latest_seam_loader <= seam_loader)
    }

    /// The first level, which is the best, that is met.
    fn first(&self, is_met: impl Fn(&PlatformTcb) -> bool) -> Result<&Level<PlatformTcb>, Error> {
        let mut levels = self.levels.iter();
        levels
            .find(|level| is_met(&level.tcb))
            .ok_or(Error::NoTcbLevel)
    }
}

impl PlatformTcb {
    fn is_met_by(&self, platform: &Platform) -> bool {
        self.pce_svn <= platform.pce_svn && all_reach(&platform.components, &self.sgx)
    }

    /// From version 1 on the module's own versions are judged by its identity.
    fn is_met_by_module(&self, svns: &[u8; 16]) -> bool {
        let own = if svns[1] == 0 { 0 } else { 2 };
        let reach = svns.iter().zip(&self.tdx).skip(own);
        reach.into_iter().all(|(found, least)| least <= found)
    }
}

fn all_reach(found: &[u8; 16], least: &[u8; 16]) -> bool {
    found.iter().zip(least).all(|(found, least)| least <= found)
}

impl Module {
    fn new(document: &ModuleDocument) -> Self {
        Self {
            mr_signer: document.mrsigner.0,
            attributes: document.attributes.0,
            mask: document.attributes_mask.0,
        }
    }

    /// Whether the module that made `report` is this one. Intel's own library demands
    /// SEAMATTRIBUTES of zero beyond the mask, so this does too.
    fn is(&self, report: &TdReport) -> bool {
        report.mr_signer_seam == self.mr_signer
            && report.seam_attributes == [0; 8]
            && self
                .attributes
                .iter()
                .zip(self.mask)
                .all(|(attributes, mask)| attributes & mask == 0)
    }
}

/// The levels of an enclave or a TDX module.
pub(super) fn enclave_levels(
    documents: Vec<document::LevelDocument<document::EnclaveTcbDocument>>,
) -> Vec<Level<u16>> {
    documents
        .into_iter()
        .map(|level| Level {
            tcb: level.tcb.isvsvn,
            status: level.tcb_status.0,
            date: level.tcb_date.0,
            advisories: level.advisory_ids.0,
        })
        .collect()
}

/// The first level that the security version `svn` reaches.
pub(super) fn enclave_level(levels: &[Level<u16>], svn: u16) -> Option<&Level<u16>> {
    levels.iter().find(|level| level.tcb <= svn)
}
