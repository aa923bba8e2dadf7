//! A service with the forms of Intel's, and as honest as it is told to be.

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use enarx_host_launcher::sgx::aesm::{KEY_ID_SIZE, TARGET_SIZE, Value, Writer, fields};

pub const TARGET: [u8; TARGET_SIZE] = [0x7A; TARGET_SIZE];
pub const SIGNATURE: &[u8] = b"a signature with its certificates";

/// The first request byte by byte: field 21, and in it field 9, a timeout of 60 seconds in
/// microseconds.
pub const KEY_COUNT_REQUEST: [u8; 8] = [0xAA, 0x01, 0x05, 0x48, 0x80, 0x8E, 0xCE, 0x1C];

/// What it does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lie {
    None,
    /// It is busy so many times.
    Busy(u32),
    Refusal(u64),
    /// It has forgotten its key when the first quote is asked for.
    KeyLost,
    Closes,
    /// An answer ends in the middle.
    Cut,
    /// Answers announce this length.
    Length(u32),
    /// Answers are this.
    Bytes(&'static [u8]),
    Keys(u64),
    NoEcdsa,
    Target(usize),
    QuoteSize(u64),
    ShortQuote,
    OtherReport,
}

pub struct StandIn {
    socket: PathBuf,
    state: Arc<State>,
    thread: Option<JoinHandle<()>>,
}

struct State {
    lie: Lie,
    asked: Mutex<Vec<Vec<u8>>>,
    refused: AtomicU32,
    over: AtomicBool,
}

impl StandIn {
    pub fn start(directory: &Path, lie: Lie) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let socket = directory.join(format!("aesm-{number}"));
        let listener = UnixListener::bind(&socket).unwrap();
        let state = Arc::new(State {
            lie,
            asked: Mutex::default(),
            refused: AtomicU32::new(0),
            over: AtomicBool::new(false),
        });
        let served = Arc::clone(&state);
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if served.over.load(Ordering::SeqCst) {
                    return;
                }
                // Whoever asks may go away.
                let _ = served.serve(stream.unwrap());
            }
        });
        Self {
            socket,
            state,
            thread: Some(thread),
        }
    }

    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// All requests so far.
    pub fn asked(&self) -> Vec<Vec<u8>> {
        self.state.asked.lock().unwrap().clone()
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.state.over.store(true, Ordering::SeqCst);
        let _ = UnixStream::connect(&self.socket);
        self.thread.take().unwrap().join().unwrap();
    }
}

impl State {
    /// One request, one answer, as Intel's service does it.
    fn serve(&self, mut stream: UnixStream) -> io::Result<()> {
        let mut length = [0; 4];
        stream.read_exact(&mut length)?;
        let mut request = vec![0; u32::from_le_bytes(length) as usize];
        stream.read_exact(&mut request)?;
        self.asked.lock().unwrap().push(request.clone());
        let answer = match self.lie {
            Lie::Closes => return Ok(()),
            Lie::Bytes(bytes) => bytes.to_vec(),
            _ => self.answer(&request),
        };
        let announced = match self.lie {
            Lie::Length(length) => length,
            _ => answer.len() as u32,
        };
        stream.write_all(&announced.to_le_bytes())?;
        let sent = match self.lie {
            Lie::Cut => &answer[..answer.len() - 1],
            _ => &answer,
        };
        stream.write_all(sent)
    }

    fn answer(&self, request: &[u8]) -> Vec<u8> {
        let all: Vec<_> = fields(request).map(Result::unwrap).collect();
        let [(kind, Value::Bytes(message))] = all[..] else {
            panic!("a request is one message in one field: {all:?}")
        };
        let fields: Vec<_> = fields(message).map(Result::unwrap).collect();
        let number = |wanted| {
            fields.iter().find_map(|(field, value)| match value {
                Value::Number(number) if *field == wanted => Some(*number),
                _ => None,
            })
        };
        let bytes = |wanted| {
            fields.iter().find_map(|(field, value)| match value {
                Value::Bytes(bytes) if *field == wanted => Some(*bytes),
                _ => None,
            })
        };
        assert!(number(9).is_some(), "no timeout");
        if let Some(code) = self.refusal(kind) {
            let message = Writer::default().number(1, code).finish();
            return Writer::default().bytes(kind, &message).finish();
        }
        let good = Writer::default().number(1, 0);
        let message = match kind {
            21 => good.number(
                2,
                match self.lie {
                    Lie::Keys(count) => count,
                    _ => 3,
                },
            ),
            22 => {
                assert_eq!(number(1), Some(3 * KEY_ID_SIZE as u64));
                good.bytes(2, &self.keys().concat())
            }
            15 => {
                assert_eq!(bytes(1), Some(&self.keys()[1][..]));
                match number(3) {
                    Some(0) => good.number(3, 32),
                    Some(1) => {
                        assert_eq!(number(4), Some(32));
                        let size = match self.lie {
                            Lie::Target(size) => size,
                            _ => TARGET.len(),
                        };
                        good.bytes(2, &TARGET[..size])
                            .number(3, 32)
                            .bytes(4, &[1; 32])
                    }
                    other => panic!("b_pub_key_id is {other:?}"),
                }
            }
            16 => {
                assert_eq!(bytes(1), Some(&self.keys()[1][..]));
                good.number(
                    2,
                    match self.lie {
                        Lie::QuoteSize(size) => size,
                        _ => 4600,
                    },
                )
            }
            17 => {
                assert_eq!(bytes(2), Some(&self.keys()[1][..]));
                good.bytes(
                    2,
                    &self.quote(bytes(1).unwrap(), number(4).unwrap() as usize),
                )
            }
            other => panic!("request {other}"),
        };
        Writer::default().bytes(kind, &message.finish()).finish()
    }

    fn refusal(&self, kind: u32) -> Option<u64> {
        match self.lie {
            Lie::Busy(times) if self.refused.fetch_add(1, Ordering::Relaxed) < times => Some(18),
            Lie::Refusal(code) => Some(code),
            Lie::KeyLost if kind == 17 && self.refused.fetch_add(1, Ordering::Relaxed) == 0 => {
                Some(42)
            }
            _ => None,
        }
    }

    /// Two of EPID's and one of ECDSA's.
    fn keys(&self) -> [[u8; KEY_ID_SIZE]; 3] {
        let algorithms = match self.lie {
            Lie::NoEcdsa => [0, 0, 1],
            _ => [0, 2, 1],
        };
        algorithms.map(|algorithm| {
            let mut key = [0xE0 | algorithm; KEY_ID_SIZE];
            key[154..158].copy_from_slice(&u32::from(algorithm).to_le_bytes());
            key
        })
    }

    fn quote(&self, report: &[u8], size: usize) -> Vec<u8> {
        let mut quote = vec![3, 0];
        quote.resize(48, 0);
        quote.extend(&report[..384]);
        quote.extend((SIGNATURE.len() as u32).to_le_bytes());
        quote.extend(SIGNATURE);
        match self.lie {
            Lie::ShortQuote => quote.truncate(440),
            Lie::OtherReport => quote[431] ^= 1,
            _ => quote.resize(size, 0),
        }
        quote
    }
}
