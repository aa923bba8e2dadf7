//! Intel's judgement of platforms.

use core::fmt;

/// A TCB status (Intel PCS API version 4, `tcbStatus`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TcbStatus {
    /// Nothing is known to be wrong.
    UpToDate,
    /// The software inside the TEE must work around a weakness.
    SwHardeningNeeded,
    /// The platform's settings must be changed.
    ConfigurationNeeded,
    /// Both of the above.
    ConfigurationAndSwHardeningNeeded,
    /// The TD must be launched again to profit from updates made while it runs.
    TdRelaunchAdvised,
    /// The same, and the platform's settings must be changed.
    TdRelaunchAdvisedConfigurationNeeded,
    /// Updates are missing.
    OutOfDate,
    /// Updates are missing, and the platform's settings must be changed.
    OutOfDateConfigurationNeeded,
    /// The platform's keys are not trusted any more.
    Revoked,
}

impl TcbStatus {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::UpToDate,
        Self::SwHardeningNeeded,
        Self::ConfigurationNeeded,
        Self::ConfigurationAndSwHardeningNeeded,
        Self::TdRelaunchAdvised,
        Self::TdRelaunchAdvisedConfigurationNeeded,
        Self::OutOfDate,
        Self::OutOfDateConfigurationNeeded,
        Self::Revoked,
    ];

    /// The status of a platform with this status when a part of it (the quoting enclave
    /// or the TDX module) has the status `part` (Intel TDX DCAP verification, convergence
    /// of TCB statuses).
    ///
    /// Parts are up to date, out of date or revoked; whatever else might be said of one is
    /// taken for out of date. To launch a TD again renews no quoting enclave, so where that
    /// was advised the platform is out of date too.
    #[must_use]
    pub const fn worsened_by(self, part: Self) -> Self {
        match (part, self) {
            (Self::Revoked, _) | (_, Self::Revoked) => Self::Revoked,
            (Self::UpToDate, _) => self,
            (
                _,
                Self::UpToDate
                | Self::SwHardeningNeeded
                | Self::TdRelaunchAdvised
                | Self::OutOfDate,
            ) => Self::OutOfDate,
            (
                _,
                Self::ConfigurationNeeded
                | Self::ConfigurationAndSwHardeningNeeded
                | Self::TdRelaunchAdvisedConfigurationNeeded
                | Self::OutOfDateConfigurationNeeded,
            ) => Self::OutOfDateConfigurationNeeded,
        }
    }

    /// The status of a TD that runs on an updated TDX module, and was launched under one
    /// that is out of date, `sgx` being the status of the platform below the module: to
    /// launch it again is all that there is to do (Intel TDX DCAP verification, TD
    /// relaunch).
    pub(super) const fn after_relaunch(self, sgx: Self) -> Self {
        let below = match sgx {
            Self::UpToDate | Self::SwHardeningNeeded => Some(false),
            Self::ConfigurationNeeded | Self::ConfigurationAndSwHardeningNeeded => Some(true),
            _ => None,
        };
        match (self, below) {
            (Self::OutOfDate, Some(false)) => Self::TdRelaunchAdvised,
            (Self::OutOfDate, Some(true)) | (Self::OutOfDateConfigurationNeeded, Some(_)) => {
                Self::TdRelaunchAdvisedConfigurationNeeded
            }
            _ => self,
        }
    }

    /// The status as Intel spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UpToDate => "UpToDate",
            Self::SwHardeningNeeded => "SWHardeningNeeded",
            Self::ConfigurationNeeded => "ConfigurationNeeded",
            Self::ConfigurationAndSwHardeningNeeded => "ConfigurationAndSWHardeningNeeded",
            Self::TdRelaunchAdvised => "TDRelaunchAdvised",
            Self::TdRelaunchAdvisedConfigurationNeeded => "TDRelaunchAdvisedConfigurationNeeded",
            Self::OutOfDate => "OutOfDate",
            Self::OutOfDateConfigurationNeeded => "OutOfDateConfigurationNeeded",
            Self::Revoked => "Revoked",
        }
    }
}

impl fmt::Display for TcbStatus {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::TcbStatus as Status;

    #[test]
    fn a_part_never_makes_the_whole_better() {
        let configuration = Status::OutOfDateConfigurationNeeded;
        for (whole, result) in [
            (Status::UpToDate, Status::OutOfDate),
            (Status::SwHardeningNeeded, Status::OutOfDate),
            (Status::ConfigurationNeeded, configuration),
            (Status::ConfigurationAndSwHardeningNeeded, configuration),
            (Status::TdRelaunchAdvised, Status::OutOfDate),
            (Status::TdRelaunchAdvisedConfigurationNeeded, configuration),
            (Status::OutOfDate, Status::OutOfDate),
            (configuration, configuration),
            (Status::Revoked, Status::Revoked),
        ] {
            for part in Status::ALL {
                let expected = match part {
                    Status::UpToDate => whole,
                    Status::Revoked => Status::Revoked,
                    _ => result,
                };
                assert_eq!(whole.worsened_by(part), expected, "{whole} by {part}");
            }
        }
    }

    #[test]
    fn a_relaunch_helps_only_where_all_below_is_in_order() {
        let relaunch = Status::TdRelaunchAdvised;
        let and_configuration = Status::TdRelaunchAdvisedConfigurationNeeded;
        for (tdx, sgx, result) in [
            (Status::OutOfDate, Status::UpToDate, relaunch),
            (Status::OutOfDate, Status::SwHardeningNeeded, relaunch),
            (
                Status::OutOfDate,
                Status::ConfigurationNeeded,
                and_configuration,
            ),
            (
                Status::OutOfDateConfigurationNeeded,
                Status::UpToDate,
                and_configuration,
            ),
            (Status::OutOfDate, Status::OutOfDate, Status::OutOfDate),
            (Status::OutOfDate, Status::Revoked, Status::OutOfDate),
            (Status::Revoked, Status::UpToDate, Status::Revoked),
            (Status::UpToDate, Status::UpToDate, Status::UpToDate),
        ] {
            assert_eq!(tdx.after_relaunch(sgx), result, "{tdx} over {sgx}");
        }
    }
}
