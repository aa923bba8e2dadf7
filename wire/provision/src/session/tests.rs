use super::*;

fn secret() -> SessionSecret {
    SessionSecret::new([3; 32])
}

fn ending() -> Ending {
    Ending {
        cause: Cause::Exited,
        status: 3,
        message: String::new(),
    }
}

fn outputs() -> Vec<Output> {
    vec![
        Output::Stdout(b"one".to_vec()),
        Output::Stderr(vec![0; MAX_FRAME_PAYLOAD]),
        Output::Log("three".into()),
        Output::Certificate(vec![4; 500]),
        Output::End(ending()),
    ]
}

fn frames() -> Vec<Vec<u8>> {
    let mut writer = OutputWriter::new(&secret());
    outputs()
        .iter()
        .map(|output| writer.frame(output).unwrap())
        .collect()
}

#[test]
fn output_arrives_in_order_up_to_its_end() {
    let mut reader = OutputReader::new(&secret(), 0);
    for (frame, output) in frames().iter().zip(outputs()) {
        assert!(reader.finish().is_err());
        assert_eq!(reader.open(frame), Ok(output));
    }
    assert_eq!(reader.finish(), Ok(()));
    assert_eq!(reader.open(&frames()[0]), Err(SessionError::AfterEnd));
}

#[test]
fn a_missing_tail_is_an_error() {
    let mut reader = OutputReader::new(&secret(), 0);
    for frame in &frames()[..3] {
        reader.open(frame).unwrap();
    }
    assert_eq!(reader.finish(), Err(SessionError::Cut(3)));
}

#[test]
fn repeated_reordered_and_missing_frames_are_told_apart() {
    let frames = frames();
    let mut reader = OutputReader::new(&secret(), 0);
    assert_eq!(
        reader.open(&frames[2]),
        Err(SessionError::Missing {
            expected: 0,
            actual: 2
        })
    );
    reader.open(&frames[0]).unwrap();
    assert_eq!(
        reader.open(&frames[0]),
        Err(SessionError::Repeated {
            expected: 1,
            actual: 0
        })
    );
    reader.skip_to(2);
    assert_eq!(reader.open(&frames[2]), Ok(outputs()[2].clone()));
}

#[test]
fn no_altered_bit_is_accepted() {
    let frame = &frames()[0];
    for bit in 0..frame.len() * 8 {
        let mut altered = frame.clone();
        altered[bit / 8] ^= 1 << (bit % 8);
        let opened = OutputReader::new(&secret(), 0).open(&altered);
        assert!(matches!(opened, Err(SessionError::Altered(_))), "bit {bit}");
    }
    for length in 0..frame.len() {
        assert!(
            OutputReader::new(&secret(), 0)
                .open(&frame[..length])
                .is_err()
        );
    }
    let oversized = vec![0; MAX_FRAME_PAYLOAD + OUTPUT_OVERHEAD + 1];
    assert_eq!(
        OutputReader::new(&secret(), 0).open(&oversized),
        Err(SessionError::Size(oversized.len()))
    );
}

#[test]
fn frames_of_another_session_or_direction_are_refused() {
    let other = SessionSecret::new([4; 32]);
    assert_eq!(
        OutputReader::new(&other, 0).open(&frames()[0]),
        Err(SessionError::Altered(0))
    );
    assert!(InputReader::new(&secret()).open(&frames()[1]).is_err());
}

#[test]
fn all_endings_have_one_size() {
    let size = |cause, status, message: String| {
        let ending = Ending {
            cause,
            status,
            message,
        };
        let mut writer = OutputWriter::new(&secret());
        let frame = writer.frame(&Output::End(ending.clone())).unwrap();
        let mut reader = OutputReader::new(&secret(), 0);
        assert_eq!(reader.open(&frame), Ok(Output::End(ending)));
        frame.len()
    };
    let plain = size(Cause::Exited, 0, String::new());
    assert_eq!(plain, size(Cause::Exited, 255, String::new()));
    assert_eq!(
        plain,
        size(Cause::Trapped, 134, "x".repeat(MAX_ENDING_MESSAGE))
    );
}

#[test]
fn payloads_are_bounded() {
    let long = vec![0; MAX_FRAME_PAYLOAD + 1];
    assert_eq!(
        OutputWriter::new(&secret()).frame(&Output::Stdout(long.clone())),
        Err(SessionError::TooLong(long.len()))
    );
    assert_eq!(
        InputWriter::new(&secret(), 1, [0; 16]).frame(&Input::Stdin(long.clone())),
        Err(SessionError::TooLong(long.len()))
    );
}

#[test]
fn nothing_is_written_after_the_end() {
    let mut writer = OutputWriter::new(&secret());
    writer.frame(&Output::End(ending())).unwrap();
    assert_eq!(
        writer.frame(&Output::Log("late".into())),
        Err(SessionError::AfterEnd)
    );
}

#[test]
fn a_newer_attachment_takes_over_and_older_ones_cannot_return() {
    let mut reader = InputReader::new(&secret());
    let mut first = InputWriter::new(&secret(), 1, [1; 16]);
    let mut second = InputWriter::new(&secret(), 2, [2; 16]);
    let old = first.frame(&Input::Stdin(b"a".to_vec())).unwrap();
    let late = first.frame(&Input::Stdin(b"b".to_vec())).unwrap();
    assert_eq!(reader.open(&old), Ok(Input::Stdin(b"a".to_vec())));
    let new = second.frame(&Input::StdinEnd).unwrap();
    assert_eq!(reader.open(&new), Ok(Input::StdinEnd));
    assert_eq!(reader.open(&late), Err(SessionError::Superseded));
    assert_eq!(reader.open(&old), Err(SessionError::Superseded));
    assert!(matches!(
        reader.open(&new),
        Err(SessionError::Repeated { .. })
    ));
    let next = second.frame(&Input::Stop).unwrap();
    assert_eq!(reader.open(&next), Ok(Input::Stop));
}

#[test]
fn a_forged_epoch_does_not_lock_the_owner_out() {
    let mut reader = InputReader::new(&secret());
    let mut writer = InputWriter::new(&secret(), 1, [1; 16]);
    let mut forged = writer.frame(&Input::Stop).unwrap();
    forged[..8].copy_from_slice(&u64::MAX.to_be_bytes());
    assert_eq!(reader.open(&forged), Err(SessionError::Altered(0)));
    let mut again = InputWriter::new(&secret(), 1, [1; 16]);
    let frame = again.frame(&Input::Stop).unwrap();
    assert_eq!(reader.open(&frame), Ok(Input::Stop));
}
