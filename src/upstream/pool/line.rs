//! Lines: HTTP/1.1 connections that are driven by whoever uses them. With a task of its own a connection would be woken for each
//! request, and would wake the caller for the answer's head and for each piece of its body.
//!
//! Relied on by `upstream::pool` and its answers. An idle line is driven by nobody: that it was closed, the pool learns from its bell.

use std::{
    cell::Cell,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{
    future::{Either, poll_fn, select},
    task::AtomicWaker,
};
use http::{Request, Response};
use http_body::{Body as _, Frame};
use hyper::{
    body::Incoming,
    client::conn::{TrySendError, http1},
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::oneshot,
    task::unconstrained,
    time::{Instant, timeout},
};

use super::{
    Place, Pool,
    meter::{Allowance, Meter},
};
use crate::body::Body;

/// How long a connection may take to end in good order.
const FAREWELL: Duration = Duration::from_secs(1);

type Connection = Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>>;

/// A connection for one request at a time.
pub struct Line {
    sender: http1::SendRequest<Body>,
    driver: Driver,
    bell: Arc<Bell>,
    allowance: Arc<Allowance>,
    /// What rings the bell.
    waker: Waker,
    born: Instant,
}

enum Driver {
    /// Whoever has the line.
    Holder(Connection, Place),
    /// A task, which brings the line back to its pool when it gets it.
    Task(oneshot::Sender<(Arc<Pool>, Box<Line>)>),
    /// Nobody: the connection has ended.
    Nobody,
}

impl Line {
    /// Begins to speak HTTP/1.1; the connection has its place until it ends.
    ///
    /// # Errors
    /// Those of hyper.
    pub async fn begin<S>(stream: S, place: Place) -> hyper::Result<Box<Self>>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let allowance = Allowance::new();
        let io = TokioIo::new(Meter::new(stream, allowance.clone()));
        let (sender, connection) = http1::Builder::new().handshake(io).await?;
        let bell = Arc::<Bell>::default();
        let waker = Waker::from(bell.clone());
        let driver = Driver::Holder(Box::pin(connection.with_upgrades()), place);
        Ok(Box::new(Self { sender, driver, bell, allowance, waker, born: Instant::now() }))
    }

    /// When it was made.
    pub fn born(&self) -> Instant {
        self.born
    }

    /// Sends a request; the head of its answer.
    ///
    /// # Errors
    /// Those of hyper, with the request when nothing of it was sent.
    pub async fn send(&mut self, request: Request<Body>) -> Result<Response<Incoming>, TrySendError<Request<Body>>> {
        self.allowance.begin();
        // It wakes nobody, so it must not be put off for want of a budget either.
        let mut answer = pin!(unconstrained(self.bell.hushed(|| self.sender.try_send_request(request))));
        let answer = poll_fn(|context| {
            self.drive(context);
            // It comes by what was driven just now, so nobody has to be woken for it.
            answer.as_mut().poll(&mut Context::from_waker(Waker::noop()))
        });
        let answer = answer.await;
        self.allowance.end();
        answer
    }

    /// The next piece of an answer's body.
    pub fn poll_body(&mut self, body: &mut Incoming, context: &mut Context<'_>) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        if !matches!(self.driver, Driver::Holder(..)) {
            return Pin::new(body).poll_frame(context);
        }
        let mut take = |bell: &Bell| bell.hushed(|| Pin::new(&mut *body).poll_frame(&mut Context::from_waker(Waker::noop())));
        let there = take(&self.bell);
        if there.is_ready() {
            return there;
        }
        self.drive(context);
        take(&self.bell)
    }

    /// Lets it go on by itself: for what is still being sent while nobody may ask for more of the answer.
    pub fn let_go(&mut self) {
        let Driver::Holder(connection, place) = std::mem::replace(&mut self.driver, Driver::Nobody) else { return };
        let (back, wanted) = oneshot::channel();
        self.driver = Driver::Task(back);
        tokio::spawn(async move {
            match select(connection, wanted).await {
                Either::Left(_) => {}
                Either::Right((Ok((pool, mut line)), connection)) => {
                    line.driver = Driver::Holder(connection, place);
                    // What the connection wakes is this task, until it is polled again.
                    line.bell.has_rung.store(true, Ordering::Release);
                    pool.put_back(line);
                }
                Either::Right((Err(_), connection)) => {
                    // How it ends, whoever asked has learnt or does not want to know.
                    let _ = connection.await;
                }
            }
        });
    }

    /// Brings it back to its pool after an answer that ended well, if it can be used again.
    pub fn retire(mut self: Box<Self>, pool: &Arc<Pool>) {
        if let Driver::Holder(..) = self.driver {
            pool.put_back(self);
        } else if let Driver::Task(back) = std::mem::replace(&mut self.driver, Driver::Nobody) {
            drop(back.send((pool.clone(), self)));
        }
    }

    /// Whether a request can be sent. A line that something has happened to since it was used is looked at first.
    pub fn is_open(&mut self) -> bool {
        if self.bell.has_rung.load(Ordering::Acquire) {
            self.poll();
        }
        matches!(self.driver, Driver::Holder(..)) && self.sender.is_ready()
    }

    /// From now on what happens to it is for `tender` to see.
    pub fn watch(&self, tender: &Waker) {
        self.bell.listener.register(tender);
    }

    /// Ends it in good order: an end without notice looks to TLS as if something had been cut off.
    pub async fn end(self: Box<Self>) {
        let Self { sender, driver, .. } = *self;
        drop(sender);
        if let Driver::Holder(connection, _place) = driver {
            let _ = timeout(FAREWELL, connection).await;
        }
    }

    fn drive(&mut self, context: &Context<'_>) {
        self.bell.listener.register(context.waker());
        self.poll();
    }

    fn poll(&mut self) {
        let Driver::Holder(connection, _) = &mut self.driver else { return };
        self.bell.has_rung.store(false, Ordering::Release);
        if connection.as_mut().poll(&mut Context::from_waker(&self.waker)).is_ready() {
            // How it has ended, its request learns.
            self.driver = Driver::Nobody;
        }
    }
}

thread_local! {
    /// The address of the bell that is not to be heard on this thread; none has the address 0.
    static HUSHED: Cell<usize> = const { Cell::new(0) };
}

/// What a connection wakes, and whom that wakes in turn: the caller, the reader of the answer, or the pool.
#[derive(Default)]
struct Bell {
    listener: AtomicWaker,
    has_rung: AtomicBool,
}

impl Bell {
    /// Does what would wake the listener for what it is about to see anyway. What happens meanwhile elsewhere is heard: the
    /// sockets of all connections are watched by one thread or the other.
    fn hushed<T>(&self, work: impl FnOnce() -> T) -> T {
        let before = HUSHED.replace(self.address());
        let done = work();
        HUSHED.set(before);
        done
    }

    fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if HUSHED.get() != self.address() {
            self.has_rung.store(true, Ordering::Release);
            self.listener.wake();
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may stop at the first surprise")]
mod tests {
    use http::header;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;
    use crate::{
        error::ErrorKind,
        upstream::pool::{Limits, PoolConfig, Settings},
    };

    /// Answers every request in two pieces that come between 0 and 200 µs apart.
    async fn in_two_pieces() -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut head = [0; 1_024];
                    let mut round: u64 = 0;
                    while stream.read(&mut head).await.is_ok_and(|count| count > 0) {
                        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nhalf").await.unwrap();
                        round += 1;
                        let pause = Duration::from_micros(round * 37 % 200);
                        let started = std::time::Instant::now();
                        while started.elapsed() < pause {
                            tokio::task::yield_now().await;
                        }
                        stream.write_all(b"half").await.unwrap();
                    }
                });
            }
        });
        port
    }

    /// Sockets are watched by whichever thread has nothing else to do, while another one polls the connection.
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn nobody_is_left_waiting_for_what_has_arrived() {
        const CALLERS: usize = 16;
        const CALLS: usize = 500;
        let port = in_two_pieces().await;
        let settings = Settings {
            config: PoolConfig::default(),
            connect_timeout: Duration::from_secs(10),
            max_connections: CALLERS,
            max_pending: CALLERS,
            proxy_protocol: None,
            limits: Limits::default(),
        };
        let pool = Pool::new("127.0.0.1", port, None, settings);
        let callers = (0..CALLERS).map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move {
                for call in 0..CALLS {
                    let answered = async {
                        let request = Request::get("/").header(header::HOST, "a").body(Body::empty()).unwrap();
                        let body = pool.send(request, None).await.map_err(|failure| failure.error).unwrap().into_body();
                        body.collect(100, ErrorKind::UpstreamTooLarge, ErrorKind::UpstreamInvalid).await.unwrap()
                    };
                    let body = timeout(Duration::from_secs(10), answered).await;
                    assert_eq!(body.unwrap_or_else(|_| format!("nothing, in call {call}").into()), "halfhalf");
                }
            })
        });
        for caller in futures_util::future::join_all(callers).await {
            caller.unwrap();
        }
    }
}
