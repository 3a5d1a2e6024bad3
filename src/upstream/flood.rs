//! Floods: interim answers without end. Each is a sign of life to whoever reads a connection, so that what ends a silent upstream
//! does not end one that says `100 Continue` for ever.
//!
//! Relied on by `upstream` and `rest`. Spec: <https://www.rfc-editor.org/rfc/rfc9110#section-15.2>

use std::{
    future::poll_fn,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    task::Poll,
};

use futures_util::task::AtomicWaker;
use http::Request;

use crate::{
    body::Body,
    error::{Error, ErrorKind},
};

/// Most interim answers to one call, all of its tries together. Progress reports are told with fewer.
const MOST: u32 = 128;

/// Counts the interim answers to one call.
#[derive(Debug, Default)]
pub struct Flood {
    heard: AtomicU32,
    caller: AtomicWaker,
}

impl Flood {
    /// Counts those to `request`, which nobody else wants to hear.
    pub fn watch(request: &mut Request<Body>) -> Arc<Self> {
        let flood = Arc::<Self>::default();
        let ear = flood.clone();
        hyper::ext::on_informational(request, move |_| ear.hear());
        flood
    }

    /// There was another one.
    pub fn hear(&self) {
        if self.heard.fetch_add(1, Ordering::Relaxed) >= MOST {
            self.caller.wake();
        }
    }

    /// What comes of `work`, unless there are too many.
    ///
    /// # Errors
    /// The one of `work`, or that there were too many.
    pub async fn stem<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let mut work = std::pin::pin!(work);
        poll_fn(|context| {
            self.caller.register(context.waker());
            match work.as_mut().poll(context) {
                Poll::Pending if self.heard.load(Ordering::Relaxed) > MOST => {
                    Poll::Ready(Err(Error::new(ErrorKind::UpstreamInvalid, "there is no end to the interim answers")))
                }
                polled => polled,
            }
        })
        .await
    }
}
