//! The client of Intel's quoting service against a stand-in that has its forms, and lies.

mod stand_in;

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::time::Duration;

use enarx_host_launcher::sgx::aesm::{Aesm, AesmError, REPORT_SIZE, Request, TARGET_SIZE};
use enarx_host_launcher::{Backend as _, Outcome};

use crate::enclave::{backend, image::Image, request, tell};
use stand_in::{KEY_COUNT_REQUEST, Lie, SIGNATURE, StandIn, TARGET};

const REPORT: [u8; REPORT_SIZE] = [0xA7; REPORT_SIZE];

fn client(stand_in: &StandIn) -> Aesm {
    Aesm::new(stand_in.socket()).with_pause(Duration::ZERO)
}

pub fn a_quoting_service_gives_target_and_quotes(directory: &Path) {
    let stand_in = StandIn::start(directory, Lie::None);
    let client = client(&stand_in);
    assert_eq!(client.target_info().unwrap(), TARGET);
    let quote = client.quote_of(&REPORT).unwrap();
    // Without what fills it up to the size that was announced.
    assert_eq!(quote.len(), 48 + 384 + 4 + SIGNATURE.len());
    assert_eq!(quote[48..432], REPORT[..384]);
    assert!(quote.ends_with(SIGNATURE));
    let asked = stand_in.asked();
    assert_eq!(asked[0], KEY_COUNT_REQUEST);
    assert_eq!(asked.len(), 8);
}

pub fn a_busy_service_is_asked_again(directory: &Path) {
    let stand_in = StandIn::start(directory, Lie::Busy(4));
    assert_eq!(client(&stand_in).target_info().unwrap(), TARGET);
    let stand_in = StandIn::start(directory, Lie::Busy(u32::MAX));
    let error = client(&stand_in).target_info().unwrap_err();
    assert!(matches!(error, AesmError::Refused { code: 18, .. }));
    assert!(error.to_string().contains("it is busy"), "{error}");
    assert_eq!(stand_in.asked().len(), 5);
}

pub fn a_key_that_was_lost_is_made_again(directory: &Path) {
    let stand_in = StandIn::start(directory, Lie::KeyLost);
    assert!(client(&stand_in).quote_of(&REPORT).is_ok());
}

pub fn each_lie_of_a_quoting_service_is_named(directory: &Path) {
    use AesmError as E;
    type Named = fn(&AesmError) -> bool;
    let lies: [(Lie, Named); 16] = [
        (Lie::Refusal(44), |e| {
            matches!(e, E::Refused { code: 44, .. }) && e.to_string().contains("PCCS")
        }),
        (Lie::Closes, |e| matches!(e, E::Stream { .. })),
        (Lie::Cut, |e| matches!(e, E::Stream { .. })),
        (Lie::Length(u32::MAX), |e| matches!(e, E::TooLong(u32::MAX))),
        (Lie::Bytes(&[0x0B, 0x0C]), |e| matches!(e, E::Malformed(_))),
        (Lie::Bytes(&[]), |e| matches!(e, E::Incomplete(_))),
        // Answers to something else: field 1, and one without an error number.
        (Lie::Bytes(&[0x0A, 0x02, 0x08, 0x00]), |e| {
            matches!(e, E::Incomplete(Request::GetSupportedAttKeyIdNum))
        }),
        (Lie::Bytes(&[0xAA, 0x01, 0x02, 0x10, 0x03]), |e| {
            matches!(e, E::Incomplete(Request::GetSupportedAttKeyIdNum))
        }),
        (Lie::Keys(0), |e| matches!(e, E::NoKey(0))),
        (Lie::Keys(u64::MAX), |e| matches!(e, E::NoKey(_))),
        (Lie::NoEcdsa, |e| matches!(e, E::NoKey(3))),
        (Lie::Target(511), |e| matches!(e, E::TargetSize(511))),
        (Lie::QuoteSize(435), |e| matches!(e, E::QuoteSize(435))),
        (Lie::QuoteSize(1 << 40), |e| matches!(e, E::QuoteSize(_))),
        (Lie::ShortQuote, |e| matches!(e, E::QuoteSize(_))),
        (Lie::OtherReport, |e| matches!(e, E::OtherReport)),
    ];
    for (lie, named) in lies {
        let stand_in = StandIn::start(directory, lie);
        let client = client(&stand_in);
        let asked = client.target_info().and_then(|_| client.quote_of(&REPORT));
        let error = asked.unwrap_err();
        assert!(named(&error), "{lie:?}: {error:?}");
    }
    let nowhere = Aesm::new(&directory.join("nowhere")).target_info();
    assert!(matches!(nowhere, Err(E::Connect { .. })), "{nowhere:?}");
}

/// The Keep's process reaches nothing; its launcher asks for it.
pub fn a_confined_keep_gets_quotes_of_the_service(directory: &Path) {
    let image = Image::new();
    let image = image.keep_image();
    let stand_in = StandIn::start(directory, Lie::None);
    let backend = backend(directory).with_quoting(client(&stand_in));
    let mut keep = backend.launch(&request(&image, directory)).unwrap();
    let mut ask = |command: &[u8], size: usize| {
        keep.channel.write_all(command).unwrap();
        let mut answer = vec![0; size];
        keep.channel.read_exact(&mut answer).unwrap();
        answer
    };
    assert_eq!(ask(b"t", TARGET_SIZE), TARGET);
    let quote = ask(b"q", 48 + 384 + 4 + SIGNATURE.len());
    assert!(quote.ends_with(SIGNATURE));
    let ended = tell(keep, b'x');
    assert_eq!(ended.outcome, Outcome::Exited(7), "{ended:?}");

    // A service that is not there is the operator's to know.
    let nowhere = Aesm::new(&directory.join("nowhere"));
    let backend = crate::enclave::backend(directory).with_quoting(nowhere);
    let mut keep = backend.launch(&request(&image, directory)).unwrap();
    keep.channel.write_all(b"t").unwrap();
    let ended = tell(keep, b'x');
    let said = &ended.diagnostics;
    assert!(said.contains("no quoting service listens at"), "{said}");
}
