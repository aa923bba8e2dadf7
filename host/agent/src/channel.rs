//! Envelopes on the channel to a Keep (`wire/hostcall`).

use std::{
    io::{self, IoSlice, Write as _},
    os::unix::net::UnixStream,
};

use bytes::Bytes;
use enarx_wire_host_api::MAX_FRAME_BYTES;
use enarx_wire_hostcall::envelope::{EnvelopeError, Header, Kind, MAX_PAYLOAD};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

// A frame of the HTTP interface is the payload of one envelope.
const _: () = assert!(MAX_FRAME_BYTES == MAX_PAYLOAD);

/// Reads one envelope; `None` at the end of the stream.
///
/// # Errors
///
/// [`ChannelError`]; nothing more can be read then.
pub(crate) async fn read_envelope(
    channel: &mut (impl AsyncRead + Unpin),
) -> Result<Option<(Kind, Bytes)>, ChannelError> {
    let mut header = [0; Header::SIZE];
    if channel.read(&mut header[..1]).await? == 0 {
        return Ok(None);
    }
    channel.read_exact(&mut header[1..]).await?;
    let header = Header::decode(header)?;
    // The length is from an untrusted program, but bounded by `decode`.
    let mut payload = vec![0; header.length as usize];
    channel.read_exact(&mut payload).await?;
    Ok(Some((header.kind, payload.into())))
}

/// Writes one envelope.
///
/// # Errors
///
/// [`ChannelError`]; the payload may be written in part.
pub(crate) async fn write_envelope(
    channel: &mut (impl AsyncWrite + Unpin),
    kind: Kind,
    payload: &[u8],
) -> Result<(), ChannelError> {
    let header = Header::new(kind, payload.len())?.encode();
    let mut written = 0;
    while written < header.len() {
        let parts = [IoSlice::new(&header[written..]), IoSlice::new(payload)];
        match channel.write_vectored(&parts).await? {
            0 => return Err(io::Error::from(io::ErrorKind::WriteZero).into()),
            bytes => written += bytes,
        }
    }
    channel
        .write_all(&payload[written - header.len()..])
        .await?;
    Ok(())
}

/// Writes a Keep's first envelope, the owner's nonce, into a channel that is new and
/// still blocks.
///
/// # Errors
///
/// The channel's own; a Keep that has ended already is found out by reading.
pub(crate) fn send_challenge(mut channel: &UnixStream, nonce: &[u8]) -> io::Result<()> {
    let header = Header::new(Kind::Challenge, nonce.len()).map_err(io::Error::other)?;
    match channel.write_all(&[&header.encode(), nonce].concat()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// What can go wrong on the channel.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChannelError {
    /// The Keep sent what is no envelope.
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    /// The stream broke, or ended within an envelope.
    #[error("the channel broke: {0}")]
    Broken(#[from] io::Error),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn envelopes_survive_a_narrow_channel() {
        let (mut near, mut far) = tokio::io::duplex(3);
        let payload = vec![9; 1000];
        let sent = payload.clone();
        let writing = tokio::spawn(async move {
            write_envelope(&mut near, Kind::Input, &sent).await?;
            write_envelope(&mut near, Kind::PackageEnd, &[]).await
        });
        let (kind, received) = read_envelope(&mut far).await.unwrap().unwrap();
        assert_eq!((kind, &received[..]), (Kind::Input, &payload[..]));
        let (kind, received) = read_envelope(&mut far).await.unwrap().unwrap();
        assert_eq!((kind, received.len()), (Kind::PackageEnd, 0));
        writing.await.unwrap().unwrap();
        assert!(read_envelope(&mut far).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn broken_and_oversized_envelopes_are_refused() {
        let broken = |bytes: &'static [u8]| async move { read_envelope(&mut &bytes[..]).await };
        for cut in [
            &[131u8][..],
            &[131, 4, 0, 0, 0],
            &[131, 4, 0, 0, 0, 1, 2, 3],
        ] {
            assert!(matches!(broken(cut).await, Err(ChannelError::Broken(_))));
        }
        for bad in [
            &[7u8, 0, 0, 0, 0][..],
            &[131, 1, 0, 16, 0],
            &[131, 255, 255, 255, 255],
        ] {
            assert!(matches!(broken(bad).await, Err(ChannelError::Envelope(_))));
        }
        let long = vec![0; MAX_PAYLOAD + 1];
        let refused = write_envelope(&mut Vec::new(), Kind::Input, &long).await;
        assert!(matches!(refused, Err(ChannelError::Envelope(_))));
    }
}
