//! Tunnels: two connections joined after both sides have switched protocols (WebSocket and others); bytes pass as they come.
//!
//! Relied on by `rest`. Spec: <https://www.rfc-editor.org/rfc/rfc9110#name-upgrade>

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, copy_bidirectional};
use tokio_util::io::InspectReader;

/// How long a tunnel may carry nothing in either direction. Protocols that are silent for longer have pings of their own.
const IDLE: Duration = Duration::from_secs(300);

/// Joins two connections as soon as both have switched, until either ends or neither says anything any more.
pub async fn join(client: OnUpgrade, upstream: OnUpgrade) {
    if let Ok((client, upstream)) = tokio::try_join!(client, upstream) {
        relay(TokioIo::new(client), TokioIo::new(upstream), IDLE).await;
    }
}

/// Copies both ways. Ends between one and two times `idle` after the last byte.
async fn relay<A, B>(client: A, upstream: B, idle: Duration)
where
    A: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
{
    let has_moved = AtomicBool::new(false);
    let note = |_: &[u8]| has_moved.store(true, Ordering::Relaxed);
    let (mut client, mut upstream) = (InspectReader::new(client, note), InspectReader::new(upstream, note));
    let silence = async {
        loop {
            tokio::time::sleep(idle).await;
            if !has_moved.swap(false, Ordering::Relaxed) {
                return;
            }
        }
    };
    tokio::select! {
        // How a tunnel ends is between the two sides.
        _ = copy_bidirectional(&mut client, &mut upstream) => {}
        () = silence => {}
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may stop at the first surprise")]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    #[tokio::test]
    async fn bytes_pass_both_ways_until_both_sides_have_said_enough() {
        let ((mut left, client), (upstream, mut right)) = (duplex(64), duplex(64));
        let tunnel = tokio::spawn(relay(client, upstream, Duration::from_secs(20)));
        left.write_all(b"ping").await.unwrap();
        let mut four = [0; 4];
        right.read_exact(&mut four).await.unwrap();
        assert_eq!(&four, b"ping");
        right.write_all(b"pong").await.unwrap();
        left.read_exact(&mut four).await.unwrap();
        assert_eq!(&four, b"pong");
        left.shutdown().await.unwrap();
        right.shutdown().await.unwrap();
        tunnel.await.unwrap();
    }

    #[tokio::test]
    async fn a_silent_tunnel_is_closed_and_a_talking_one_is_not() {
        let idle = Duration::from_millis(200);
        let ((mut left, client), (upstream, mut right)) = (duplex(64), duplex(64));
        let tunnel = tokio::spawn(relay(client, upstream, idle));
        for _ in 0..6 {
            tokio::time::sleep(idle / 2).await;
            left.write_all(b"x").await.unwrap();
            assert_eq!(right.read_u8().await.unwrap(), b'x');
        }
        tunnel.await.unwrap();
        assert_eq!(right.read(&mut [0; 1]).await.unwrap(), 0, "both sides learn of it");
        assert_eq!(left.read(&mut [0; 1]).await.unwrap(), 0);
    }
}
