//! Quotes from Intel's quoting enclave, through Intel's service for it (AESM).
//!
//! The service listens on a Unix socket. A connection carries one request and one answer, each
//! with its length before it: 32 bits, little-endian. What they say is in Intel's
//! `psw/ae/common/proto/messages.proto` (linux-sgx), whose field numbers are repeated here; what
//! the calls mean, in "Intel SGX ECDSA QuoteGenReference API", 3.2, of which these are the
//! remote forms.
//!
//! **It has never spoken to Intel's service**, but to a stand-in that has these forms.

mod message;

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use super::services::Quoting;
pub use message::{Malformed, Value, Writer, fields, find};

/// Where Intel's service listens unless somebody has configured it otherwise.
pub const SOCKET: &str = "/var/run/aesmd/aesm.socket";

/// The largest answer in bytes that is read: several quotes would fit.
pub const MAX_ANSWER: usize = 256 << 10;

/// A service that makes quotes.
#[derive(Debug, Clone)]
pub struct Aesm {
    socket: PathBuf,
    pause: Duration,
}

/// A request, as AESM numbers them. Answers have the same numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Request {
    /// Has the quoting enclave make its key; gives the enclave's TARGETINFO.
    InitQuoteEx = 15,
    /// Gives the size of quotes.
    GetQuoteSizeEx = 16,
    /// Gives a quote.
    GetQuoteEx = 17,
    /// Gives the number of attestation keys.
    GetSupportedAttKeyIdNum = 21,
    /// Gives the identifiers of all attestation keys.
    GetSupportedAttKeyIds = 22,
}

/// Why there is no quote.
#[derive(Debug, thiserror::Error)]
pub enum AesmError {
    /// Nothing listens there.
    #[error("no quoting service listens at {}: {source}", .socket.display())]
    Connect {
        /// Where it was looked for.
        socket: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The connection broke, or the answer did not come in time.
    #[error("the quoting service did not answer {request:?}: {source}")]
    Stream {
        /// To what.
        request: Request,
        /// What the system said.
        source: io::Error,
    },
    /// The answer would be longer than any.
    #[error("the quoting service announces an answer of {0} bytes")]
    TooLong(u32),
    /// The answer is no message.
    #[error("the quoting service's answer is {0}")]
    Malformed(#[from] Malformed),
    /// The answer is to something else, or lacks what it is about.
    #[error("the quoting service's answer to {0:?} lacks what it should say")]
    Incomplete(Request),
    /// The service refused.
    #[error("the quoting service refused {request:?}: {} (error {code})", meaning(*.code))]
    Refused {
        /// What.
        request: Request,
        /// `aesm_error_t`.
        code: u64,
    },
    /// The service has no key of the kind that quotes are verified with.
    #[error("the quoting service has no ECDSA key among its {0}; it takes Intel's DCAP packages")]
    NoKey(usize),
    /// The quoting enclave's TARGETINFO has another size.
    #[error("the quoting service's target information has {0} bytes, not 512")]
    TargetSize(usize),
    /// A quote cannot have this size.
    #[error("the quoting service's quote has {0} bytes, which is no quote's size")]
    QuoteSize(u64),
    /// The quote is about another report.
    #[error("the quoting service has quoted another report than it was given")]
    OtherReport,
}

impl Aesm {
    /// The service that listens at `socket`.
    #[must_use]
    pub fn new(socket: &Path) -> Self {
        Self {
            socket: socket.to_owned(),
            pause: Duration::from_millis(200),
        }
    }

    /// The same with another pause before a service that is busy is asked again.
    #[must_use]
    pub fn with_pause(self, pause: Duration) -> Self {
        Self { pause, ..self }
    }

    /// TARGETINFO of the quoting enclave, which has made its key then.
    ///
    /// # Errors
    ///
    /// [`AesmError`].
    pub fn target_info(&self) -> Result<[u8; TARGET_SIZE], AesmError> {
        self.initialized(&self.key()?)
    }

    /// A quote of `report`, in the size that it has.
    ///
    /// # Errors
    ///
    /// [`AesmError`].
    pub fn quote_of(&self, report: &[u8; REPORT_SIZE]) -> Result<Vec<u8>, AesmError> {
        let key = self.key()?;
        match self.quote_with(&key, report) {
            // The service was started again, or the machine has got a new microcode.
            Err(AesmError::Refused {
                code: KEY_NOT_INITIALIZED,
                ..
            }) => {
                self.initialized(&key)?;
                self.quote_with(&key, report)
            }
            quoted => quoted,
        }
    }

    fn quote_with(&self, key: &[u8], report: &[u8; REPORT_SIZE]) -> Result<Vec<u8>, AesmError> {
        let request = Writer::default().bytes(1, key);
        let answer = self.ask(Request::GetQuoteSizeEx, request)?;
        let size = answer.number(2)?;
        let plausible = size >= QUOTE_START as u64 && size <= MAX_QUOTE;
        if !plausible {
            return Err(AesmError::QuoteSize(size));
        }
        let request = Writer::default()
            .bytes(1, report)
            .bytes(2, key)
            .number(4, size);
        let answer = self.ask(Request::GetQuoteEx, request)?;
        trimmed(answer.bytes(2)?, report)
    }

    /// The identifier of the key for ECDSA on P-256.
    fn key(&self) -> Result<Vec<u8>, AesmError> {
        let answer = self.ask(Request::GetSupportedAttKeyIdNum, Writer::default())?;
        let count = usize::try_from(answer.number(2)?).unwrap_or(usize::MAX);
        if count == 0 || count > MAX_KEYS {
            return Err(AesmError::NoKey(count));
        }
        let request = Writer::default().number(1, (count * KEY_ID_SIZE) as u64);
        let answer = self.ask(Request::GetSupportedAttKeyIds, request)?;
        let keys = answer.bytes(2)?.as_chunks::<KEY_ID_SIZE>().0;
        let key = keys.iter().find(|key| key[ALGORITHM..][..4] == ECDSA_P256);
        Ok(key.ok_or(AesmError::NoKey(keys.len()))?.to_vec())
    }

    fn initialized(&self, key: &[u8]) -> Result<[u8; TARGET_SIZE], AesmError> {
        // First for the size of the key's name, then with room for it.
        let request = Writer::default().bytes(1, key).number(3, 0);
        let answer = self.ask(Request::InitQuoteEx, request)?;
        let request = Writer::default()
            .bytes(1, key)
            .number(3, 1)
            .number(4, answer.number(3)?);
        let answer = self.ask(Request::InitQuoteEx, request)?;
        let target = answer.bytes(2)?;
        target
            .try_into()
            .map_err(|_| AesmError::TargetSize(target.len()))
    }

    /// Asks, and asks again a few times if the service is busy.
    fn ask(&self, request: Request, fields: Writer) -> Result<Answer, AesmError> {
        const ATTEMPTS: u32 = 5;
        let fields = fields.number(TIMEOUT_FIELD, TIMEOUT_MICROSECONDS).finish();
        let message = Writer::default().bytes(request as u32, &fields).finish();
        for _ in 1..ATTEMPTS {
            match self.ask_once(request, &message) {
                Err(AesmError::Refused {
                    code: BUSY | BACKEND_BUSY,
                    ..
                }) => thread::sleep(self.pause),
                answered => return answered,
            }
        }
        self.ask_once(request, &message)
    }

    fn ask_once(&self, request: Request, message: &[u8]) -> Result<Answer, AesmError> {
        let mut stream =
            UnixStream::connect(&self.socket).map_err(|source| AesmError::Connect {
                socket: self.socket.clone(),
                source,
            })?;
        let broken = |source| AesmError::Stream { request, source };
        let exchange = |stream: &mut UnixStream| {
            stream.set_read_timeout(Some(STREAM_TIMEOUT))?;
            stream.set_write_timeout(Some(STREAM_TIMEOUT))?;
            stream.write_all(&(message.len() as u32).to_le_bytes())?;
            stream.write_all(message)?;
            let mut length = [0; 4];
            stream.read_exact(&mut length)?;
            Ok(u32::from_le_bytes(length))
        };
        let length = exchange(&mut stream).map_err(broken)?;
        if length as usize > MAX_ANSWER {
            return Err(AesmError::TooLong(length));
        }
        let mut bytes = vec![0; length as usize];
        stream.read_exact(&mut bytes).map_err(broken)?;
        Answer::decode(request, &bytes)
    }
}

impl Quoting for Aesm {
    fn target(&self) -> io::Result<[u8; TARGET_SIZE]> {
        self.target_info().map_err(io::Error::other)
    }

    fn quote(&self, report: &[u8]) -> io::Result<Vec<u8>> {
        let report = report.try_into().map_err(io::Error::other)?;
        self.quote_of(report).map_err(io::Error::other)
    }
}

/// What the service answered: a message with an error number of zero.
#[derive(Debug)]
pub struct Answer {
    request: Request,
    message: Vec<u8>,
}

impl Answer {
    /// Reads the answer to `request`.
    ///
    /// # Errors
    ///
    /// [`AesmError::Malformed`], [`AesmError::Incomplete`], [`AesmError::Refused`].
    pub fn decode(request: Request, bytes: &[u8]) -> Result<Self, AesmError> {
        let Some(Value::Bytes(message)) = find(bytes, request as u32)? else {
            return Err(AesmError::Incomplete(request));
        };
        match find(message, 1)? {
            Some(Value::Number(0)) => Ok(Self {
                request,
                message: message.to_vec(),
            }),
            Some(Value::Number(code)) => Err(AesmError::Refused { request, code }),
            _ => Err(AesmError::Incomplete(request)),
        }
    }

    /// A number in it.
    ///
    /// # Errors
    ///
    /// [`AesmError::Incomplete`].
    pub fn number(&self, field: u32) -> Result<u64, AesmError> {
        match find(&self.message, field)? {
            Some(Value::Number(number)) => Ok(number),
            _ => Err(AesmError::Incomplete(self.request)),
        }
    }

    /// Bytes in it.
    ///
    /// # Errors
    ///
    /// [`AesmError::Incomplete`].
    pub fn bytes(&self, field: u32) -> Result<&[u8], AesmError> {
        match find(&self.message, field)? {
            Some(Value::Bytes(bytes)) => Ok(bytes),
            _ => Err(AesmError::Incomplete(self.request)),
        }
    }
}

/// Size of REPORT in bytes (SDM volume 3D, "REPORT").
pub const REPORT_SIZE: usize = 432;
/// Size of TARGETINFO in bytes.
pub const TARGET_SIZE: usize = 512;
/// Size of `sgx_att_key_id_t` in bytes.
pub const KEY_ID_SIZE: usize = 256;
/// Where `algorithm_id` lies in it,
const ALGORITHM: usize = 154;
/// and its value for ECDSA on P-256 (`SGX_QL_ALG_ECDSA_P256`).
const ECDSA_P256: [u8; 4] = 2u32.to_le_bytes();
/// Keys that a service can have: those of Intel's are three.
const MAX_KEYS: usize = 64;

/// A quote's header of 48 bytes, the report's body of 384, and the length of the signature.
const QUOTE_START: usize = QUOTE_HEADER + REPORT_BODY + 4;
const QUOTE_HEADER: usize = 48;
const REPORT_BODY: usize = 384;
/// What the Keep could take.
const MAX_QUOTE: u64 = enarx_wire_hostcall::attestation::MAX_ANSWER as u64;

/// `timeout` of every request,
const TIMEOUT_FIELD: u32 = 9;
/// in which the quoting enclave may have to get certificates from the network,
const TIMEOUT_MICROSECONDS: u64 = 60_000_000;
/// and after which nothing more is waited for.
const STREAM_TIMEOUT: Duration = Duration::from_secs(65);

/// `AESM_BUSY`, `AESM_BACKEND_SERVER_BUSY`, `AESM_ATT_KEY_NOT_INITIALIZED`.
const BUSY: u64 = 18;
const BACKEND_BUSY: u64 = 19;
const KEY_NOT_INITIALIZED: u64 = 42;

/// A quote without what the service has added up to the size that was asked for.
fn trimmed(quote: &[u8], report: &[u8; REPORT_SIZE]) -> Result<Vec<u8>, AesmError> {
    let wrong = || AesmError::QuoteSize(quote.len() as u64);
    let (start, rest) = quote.split_at_checked(QUOTE_START).ok_or_else(wrong)?;
    let (_, length) = start.split_last_chunk::<4>().ok_or_else(wrong)?;
    let signature = u32::from_le_bytes(*length) as usize;
    if rest.len() < signature || quote.len() as u64 > MAX_QUOTE {
        return Err(wrong());
    }
    if start[QUOTE_HEADER..][..REPORT_BODY] != report[..REPORT_BODY] {
        return Err(AesmError::OtherReport);
    }
    Ok(quote[..QUOTE_START + signature].to_vec())
}

/// What an error number says to people: those that they can do something about.
const fn meaning(code: u64) -> &'static str {
    match code {
        2 | 24 => "it sees no SGX device",
        12..=14 => "it could not reach the network, from which it gets the platform's certificates",
        16 | 31 | 43 | 44 | 50 => {
            "it has no certificate of this platform; configure a PCCS in /etc/sgx_default_qcnl.conf"
        }
        17 | 27 | 30 | 40 => "it is not ready; see `systemctl status aesmd`",
        BUSY | BACKEND_BUSY => "it is busy",
        29 => "the enclave memory is used up",
        38 => "it does not have this key",
        41 => "it has no quote provider library; install libsgx-dcap-default-qpl",
        KEY_NOT_INITIALIZED => "its key is not made",
        45 | 47 => "the report was not made on this machine for its quoting enclave",
        _ => "for a reason of its own",
    }
}
