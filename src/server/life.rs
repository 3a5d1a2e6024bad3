//! Lives of connections: how long one waits for its client, how old it becomes, and how it ends with the server.
//!
//! Relied on by `server::connection`; configured by `connection:`. Spec: <https://www.rfc-editor.org/rfc/rfc9112#section-9.6>

use std::{
    hash::{BuildHasher as _, RandomState},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
    service::HttpService,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::futures::OwnedNotified,
    time::{Instant, Sleep, sleep_until},
};

use super::{
    connection::ConnectionConfig,
    drain::{Phase, Phases},
};
use crate::{body::Body, exchange::Interim};

/// How long a new connection has for its first request's head.
const FIRST_HEAD: Duration = Duration::from_secs(10);
/// How long a client may take to notice that its connection ends.
const FAREWELL: Duration = Duration::from_secs(1);
/// The share of the greatest age by which ages differ.
const SPREAD: f64 = 0.1;

/// A connection that can be asked to end after the requests it has.
pub trait Connection: Future {
    /// Begins to end it.
    fn finish(self: Pin<&mut Self>);
}

impl<I, S> Connection for http1::UpgradeableConnection<TokioIo<I>, S>
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: HttpService<Incoming, ResBody = Body>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    fn finish(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

impl<I, S> Connection for http2::Connection<TokioIo<I>, S, TokioExecutor>
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: HttpService<Incoming, ResBody = Body>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    S::Future: Send + 'static,
{
    fn finish(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

/// A connection with its patience and the server's phases. Apart from the connection itself a poll costs two loads: the timer
/// and the signal are polled once each, to leave their wakers, and again only when they have fired. Nothing is done for a request:
/// each holds a voice, so whether there is one can be seen from outside when it is asked for.
pub struct Life<C> {
    connection: Pin<Box<C>>,
    interim: Arc<Interim>,
    /// Who knows of `interim` without being a request.
    residents: usize,
    /// When it is looked again whether the client still wants something.
    patience: Pin<Box<Sleep>>,
    is_patience_begun: bool,
    idle: Duration,
    /// When it must have had its first request.
    first_head: Instant,
    /// When it is too old.
    end: Option<Instant>,
    /// Requests when it was looked last.
    count: u64,
    is_finishing: bool,
    phases: Arc<Phases>,
    seen: Phase,
    signal: Option<Pin<Box<OwnedNotified>>>,
}

impl<C> Life<C> {
    /// Of a connection on which nothing has happened yet.
    pub fn new(connection: Pin<Box<C>>, interim: Arc<Interim>, phases: Arc<Phases>, limits: &ConnectionConfig) -> Self {
        let (now, idle) = (Instant::now(), limits.idle_timeout.0);
        // Without this the clients that came together after a restart would always come back together.
        let share = 1.0 - SPREAD * (RandomState::new().hash_one(0) >> 11) as f64 / (1_u64 << 53) as f64;
        let end = limits.max_age.as_ref().map(|age| now + age.0.mul_f64(share));
        let first_look = now + idle.min(FIRST_HEAD);
        Self {
            connection,
            residents: Arc::strong_count(&interim),
            interim,
            patience: Box::pin(sleep_until(end.map_or(first_look, |end| end.min(first_look)))),
            is_patience_begun: false,
            idle,
            first_head: now + FIRST_HEAD,
            end,
            count: 0,
            is_finishing: false,
            phases,
            seen: Phase::Serving,
            signal: None,
        }
    }
}

impl<C: Connection> Future for Life<C> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.connection.as_mut().poll(context).is_ready() {
            return Poll::Ready(());
        }
        if (!self.is_patience_begun || self.patience.is_elapsed()) && self.is_given_up(context) {
            return Poll::Ready(());
        }
        self.heed(context)
    }
}

impl<C: Connection> Life<C> {
    /// Waits on; true when the client has neither had nor begun a request for as long as it may, which is found out between one and
    /// two times `idle` after the last one, or when the connection is too old and has nothing more to do.
    fn is_given_up(&mut self, context: &mut Context<'_>) -> bool {
        self.is_patience_begun = true;
        while self.patience.as_mut().poll(context).is_ready() {
            let (now, before) = (Instant::now(), self.count);
            self.count = self.interim.count();
            let is_busy = Arc::strong_count(&self.interim) > self.residents;
            let is_too_old = self.end.is_some_and(|end| now >= end);
            let next = match (is_busy, self.is_finishing) {
                (false, true) => return true,
                (true, true) => now + FAREWELL,
                _ if is_too_old => now,
                (true, false) => now + self.idle,
                (false, false) if self.count == 0 && now >= self.first_head => return true,
                (false, false) if self.count == 0 => self.first_head,
                (false, false) if self.count != before => now + self.idle,
                (false, false) => now,
            };
            if next > now {
                let end = self.end.filter(|_| !self.is_finishing);
                self.patience.as_mut().reset(end.map_or(next, |end| end.min(next)));
                continue;
            }
            self.is_finishing = true;
            self.connection.as_mut().finish();
            if self.connection.as_mut().poll(context).is_ready() {
                return true;
            }
            self.patience.as_mut().reset(now + FAREWELL);
        }
        false
    }

    /// Follows the server's phases; ready when the connection shall end now.
    fn heed(&mut self, context: &mut Context<'_>) -> Poll<()> {
        while self.signal.is_none() || self.phases.now() != self.seen {
            // The signal is armed before the phase is read, so no change can be missed; one that has fired is armed anew.
            let mut signal = Box::pin(self.phases.changed());
            self.signal = signal.as_mut().poll(context).is_pending().then_some(signal);
            let before = std::mem::replace(&mut self.seen, self.phases.now());
            if self.seen == Phase::Cut {
                return Poll::Ready(());
            }
            if self.seen == Phase::Closing && before != Phase::Closing {
                self.connection.as_mut().finish();
                if self.connection.as_mut().poll(context).is_ready() {
                    return Poll::Ready(());
                }
            }
        }
        Poll::Pending
    }
}
