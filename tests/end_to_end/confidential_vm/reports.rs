//! The launcher's side of the interface, when all goes well and when it does not.

use enarx_host_launcher::cvm::{TsmError, TsmProvider, TsmReport, TsmReports};
use fuser::Errno;

use super::{
    configfs::{Blobs, Configfs, Driver, Trouble},
    simulated::{certificate_table, sev_guest, tdx_guest},
};

const REPORT_DATA: [u8; 64] = [0xDA; 64];

/// A driver whose reports are what was asked.
fn mirror() -> Driver {
    Driver {
        name: "tdx_guest",
        privilege_floor: None,
        report: Box::new(|order| {
            Ok(Blobs {
                outblob: order.inblob.clone(),
                auxblob: Vec::new(),
            })
        }),
    }
}

fn ask(configfs: &Configfs) -> Result<TsmReport, TsmError> {
    let report = TsmReports::below(configfs.path()).report(&REPORT_DATA);
    assert_eq!(configfs.reports(), 0, "nothing is left behind");
    report
}

/// What is said when `trouble` is caused to a driver that is well.
fn troubled(trouble: Trouble) -> Result<TsmReport, TsmError> {
    let configfs = Configfs::mount(Some(mirror()));
    configfs.cause(trouble);
    ask(&configfs)
}

#[test]
fn a_report_is_of_what_was_asked_and_comes_with_the_hosts_certificates() {
    let configfs = Configfs::mount(Some(sev_guest()));
    let reports = TsmReports::below(configfs.path());
    assert_eq!(reports.provider().unwrap(), TsmProvider::SevGuest);
    let report = ask(&configfs).unwrap();
    assert_eq!(report.provider, TsmProvider::SevGuest);
    assert_eq!(report.evidence[0x50..0x90], REPORT_DATA);
    assert_eq!(report.evidence[0x30..0x34], [0; 4]);
    assert_eq!(report.auxiliary, certificate_table());
    assert_eq!(configfs.made(), 2);

    let configfs = Configfs::mount(Some(tdx_guest()));
    let report = ask(&configfs).unwrap();
    assert_eq!(report.provider, TsmProvider::TdxGuest);
    assert_eq!(report.evidence[568..632], REPORT_DATA);
    assert!(report.auxiliary.is_empty());
}

/// Where something runs beneath the kernel, the kernel may not ask for the highest level.
#[test]
fn the_level_is_the_highest_that_may_be_asked_for() {
    let configfs = Configfs::mount(Some(Driver {
        privilege_floor: Some(2),
        ..sev_guest()
    }));
    assert_eq!(ask(&configfs).unwrap().evidence[0x30..0x34], [2, 0, 0, 0]);
}

#[test]
fn a_report_that_somebody_else_asked_for_is_never_taken() {
    let others = |count| vec![vec![0x0B; 64]; count].into();
    let report = troubled(Trouble {
        intruders: others(2),
        ..Trouble::default()
    });
    assert_eq!(report.unwrap().evidence, REPORT_DATA);
    let refused = troubled(Trouble {
        intruders: others(100),
        ..Trouble::default()
    });
    assert!(
        matches!(refused, Err(TsmError::Contended(_))),
        "{refused:?}"
    );
}

/// The count of writes tells, even where what was written is the same.
#[test]
fn writes_are_counted_and_not_compared() {
    let refused = troubled(Trouble {
        intruders: vec![REPORT_DATA.to_vec(); 100].into(),
        ..Trouble::default()
    });
    assert!(
        matches!(refused, Err(TsmError::Contended(_))),
        "{refused:?}"
    );
    let report = troubled(Trouble {
        generations: ["7\n"].into(),
        ..Trouble::default()
    });
    assert_eq!(report.unwrap().evidence, REPORT_DATA);
    for nonsense in ["", "-1\n", "1 2\n", "99999999999999999999\n", "\u{fffd}"] {
        let refused = troubled(Trouble {
            generations: [nonsense].into(),
            ..Trouble::default()
        });
        let malformed = matches!(refused, Err(TsmError::Malformed("generation")));
        assert!(malformed, "{nonsense:?}: {refused:?}");
    }
}

#[test]
fn what_passes_is_waited_for_and_what_does_not_is_told() {
    for errno in [Errno::EWOULDBLOCK, Errno::EBUSY, Errno::ETIMEDOUT] {
        let report = troubled(Trouble {
            failures: vec![errno; 3].into(),
            ..Trouble::default()
        });
        assert_eq!(report.unwrap().evidence, REPORT_DATA);
        let refused = troubled(Trouble {
            failures: vec![errno; 100].into(),
            ..Trouble::default()
        });
        let told = matches!(
            refused,
            Err(TsmError::Attribute {
                attribute: "outblob",
                ..
            })
        );
        assert!(told, "{refused:?}");
    }
    let configfs = Configfs::mount(Some(mirror()));
    configfs.cause(Trouble {
        failures: [Errno::EIO].into(),
        ..Trouble::default()
    });
    ask(&configfs).unwrap_err();
    // It was not tried again: nothing is left to go wrong.
    ask(&configfs).unwrap();
}

#[test]
fn what_is_missing_is_named() {
    let nowhere = tempfile::tempdir().unwrap().path().join("report");
    let absent = TsmReports::below(&nowhere).report(&REPORT_DATA);
    assert!(matches!(absent, Err(TsmError::Absent(path)) if path == nowhere));
    let nobody = ask(&Configfs::mount(None));
    assert!(matches!(nobody, Err(TsmError::NoProvider)), "{nobody:?}");
    // A directory that is no such interface.
    let plain = tempfile::tempdir().unwrap();
    let refused = TsmReports::below(plain.path()).report(&REPORT_DATA);
    let missing = matches!(
        refused,
        Err(TsmError::Attribute {
            attribute: "generation",
            ..
        })
    );
    assert!(missing, "{refused:?}");
    assert_eq!(std::fs::read_dir(plain.path()).unwrap().count(), 0);
}

#[test]
fn reports_of_other_kinds_and_sizes_are_refused() {
    let answer = |name, outblob: Vec<u8>, auxblob: Vec<u8>| {
        ask(&Configfs::mount(Some(Driver {
            name,
            privilege_floor: Some(0),
            report: Box::new(move |_| {
                Ok(Blobs {
                    outblob: outblob.clone(),
                    auxblob: auxblob.clone(),
                })
            }),
        })))
    };
    let unknown = answer("arm_cca_guest", vec![1], Vec::new());
    assert!(matches!(unknown, Err(TsmError::UnknownProvider(name)) if name == "arm_cca_guest"));
    let empty = answer("sev_guest", Vec::new(), Vec::new());
    assert!(matches!(empty, Err(TsmError::Malformed("outblob"))));
    // The kernel itself refuses larger ones.
    let large = answer("sev_guest", vec![1; (32 << 10) + 1], Vec::new());
    assert!(matches!(
        large,
        Err(TsmError::Attribute {
            attribute: "outblob",
            ..
        })
    ));
    let large = answer("sev_guest", vec![1], vec![1; (32 << 10) + 1]);
    assert!(matches!(
        large,
        Err(TsmError::Attribute {
            attribute: "auxblob",
            ..
        })
    ));
    answer("sev_guest", vec![1; 32 << 10], vec![1; 32 << 10]).unwrap();
}
