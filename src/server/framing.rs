//! Framing: watches the bytes of an HTTP/1 connection for heads that two parsers could read differently, and that hyper mends
//! without a word: a Content-Length beside a Transfer-Encoding, or twice, and lines that end without CR.
//!
//! Relied on by `server::wire`, which has the bytes. Spec: <https://www.rfc-editor.org/rfc/rfc9112#name-message-body-length>

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use memchr::memchr;

/// Most bytes that are kept of a line that arrives in pieces: the names and sizes that matter are shorter.
const LINE: usize = 64;
/// Stands for no request at all.
const NONE: u64 = u64::MAX;

/// What is known of the requests of one connection.
#[derive(Debug)]
pub struct Framing {
    /// The first request that is ambiguous; everything after it is as well.
    doubtful: AtomicU64,
    served: AtomicU64,
    is_switched: AtomicBool,
}

impl Framing {
    /// Of a new connection.
    pub fn new() -> Arc<Self> {
        Arc::new(Self { doubtful: AtomicU64::new(NONE), served: AtomicU64::new(0), is_switched: AtomicBool::new(false) })
    }

    /// Notes the first ambiguous request.
    pub fn doubt(&self, index: u64) {
        self.doubtful.store(index, Ordering::Relaxed);
    }

    /// What comes from now on is of another protocol.
    pub fn switch(&self) {
        self.is_switched.store(true, Ordering::Relaxed);
    }

    /// Whether it is.
    pub fn is_switched(&self) -> bool {
        self.is_switched.load(Ordering::Relaxed)
    }

    /// Counts a request that was parsed; whether its head, or that of one before it, can be read in two ways.
    pub fn is_next_ambiguous(&self) -> bool {
        // Only the task of the connection writes, so these need not be one step.
        let index = self.served.load(Ordering::Relaxed);
        self.served.store(index + 1, Ordering::Relaxed);
        index >= self.doubtful.load(Ordering::Relaxed)
    }
}

/// Where in the stream of requests we are. It follows what hyper accepts; what hyper refuses ends the connection anyway.
#[derive(Debug, Default)]
pub struct Scan {
    at: At,
    head: Head,
    /// The start of the line that is arriving, at most `LINE` bytes.
    line: Vec<u8>,
    /// The byte before the next one.
    last: u8,
    /// Heads that were complete.
    heads: u64,
}

#[derive(Debug, Default)]
enum At {
    #[default]
    Head,
    /// So many bytes to go.
    Data(u64),
    ChunkSize,
    /// So many bytes to go, with the end of line.
    Chunk(u64),
    Trailers,
    /// Nothing more can be said.
    Lost,
}

/// What a head has said so far.
#[derive(Debug, Default)]
struct Head {
    is_begun: bool,
    has_bare_end: bool,
    lengths: u8,
    length: Option<u64>,
    codings: u8,
}

impl Scan {
    /// Whether all requests so far came whole.
    pub fn is_between_requests(&self) -> bool {
        matches!(self.at, At::Head) && !self.head.is_begun && self.line.is_empty()
    }

    /// Looks at further bytes; the number of the first ambiguous request, when it is among them.
    pub fn feed(&mut self, mut bytes: &[u8]) -> Option<u64> {
        while !bytes.is_empty() {
            bytes = match &mut self.at {
                At::Lost => return None,
                At::Data(left) => {
                    let rest = skip(bytes, left);
                    if *left == 0 {
                        self.at = At::Head;
                    }
                    rest
                }
                At::Chunk(left) => {
                    let rest = skip(bytes, left);
                    if *left == 0 {
                        self.at = At::ChunkSize;
                    }
                    rest
                }
                At::Head | At::ChunkSize | At::Trailers => {
                    let Some(end) = memchr(b'\n', bytes) else {
                        self.keep(bytes);
                        return None;
                    };
                    let (line, rest) = bytes.split_at(end + 1);
                    if !self.end_line(line) {
                        self.at = At::Lost;
                        return Some(self.heads);
                    }
                    rest
                }
            };
        }
        None
    }

    /// Keeps the start of a line whose end is to come.
    fn keep(&mut self, bytes: &[u8]) {
        let room = LINE.saturating_sub(self.line.len()).min(bytes.len());
        self.line.extend(bytes.iter().take(room));
        self.last = bytes.last().copied().unwrap_or(self.last);
    }

    /// Takes a line, up to and including its LF; false when what it ends can be read in two ways.
    fn end_line(&mut self, fresh: &[u8]) -> bool {
        let mut kept = std::mem::take(&mut self.line);
        let is_bare = match fresh {
            [.., before, _] => *before != b'\r',
            _ => kept.is_empty() || self.last != b'\r',
        };
        let line = if kept.is_empty() {
            fresh
        } else {
            kept.extend(fresh.iter().take(LINE));
            &kept
        };
        let is_right = self.take(line.trim_ascii_end(), is_bare);
        kept.clear();
        self.line = kept;
        is_right
    }

    fn take(&mut self, line: &[u8], is_bare: bool) -> bool {
        match self.at {
            At::Head if line.is_empty() && !self.head.is_begun => !is_bare,
            At::Head if line.is_empty() => {
                self.head.has_bare_end |= is_bare;
                self.end_head()
            }
            At::Head => {
                self.head.has_bare_end |= is_bare;
                self.head.take(line);
                true
            }
            At::ChunkSize => {
                let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
                let size = line.get(..digits).and_then(|digits| std::str::from_utf8(digits).ok());
                match size.and_then(|size| u64::from_str_radix(size, 16).ok()).map(|size| size.checked_add(2)) {
                    Some(Some(2)) => self.at = At::Trailers,
                    Some(Some(size)) => self.at = At::Chunk(size),
                    Some(None) | None => return false,
                }
                true
            }
            At::Trailers if line.is_empty() => {
                self.at = At::Head;
                true
            }
            At::Trailers | At::Data(_) | At::Chunk(_) | At::Lost => true,
        }
    }

    fn end_head(&mut self) -> bool {
        let Head { has_bare_end, lengths, length, codings, .. } = std::mem::take(&mut self.head);
        self.at = match (lengths, length, codings) {
            _ if has_bare_end => return false,
            (0, _, 0) | (1, Some(0), 0) => At::Head,
            (1, Some(length), 0) => At::Data(length),
            (0, _, 1) => At::ChunkSize,
            _ => return false,
        };
        self.heads += 1;
        true
    }
}

impl Head {
    fn take(&mut self, line: &[u8]) {
        self.is_begun = true;
        if !matches!(line.first(), Some(b'c' | b'C' | b't' | b'T')) {
            return;
        }
        let Some((name, value)) = memchr(b':', line).and_then(|colon| line.split_at_checked(colon)) else { return };
        if name.eq_ignore_ascii_case(b"content-length") {
            let value = value.get(1..).unwrap_or_default().trim_ascii();
            let is_number = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
            self.lengths = self.lengths.saturating_add(1);
            self.length = std::str::from_utf8(value).ok().filter(|_| is_number).and_then(|value| value.parse().ok());
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            self.codings = self.codings.saturating_add(1);
        }
    }
}

/// What is left of `bytes` after `left` of them, and what is left of `left`.
fn skip<'a>(bytes: &'a [u8], left: &mut u64) -> &'a [u8] {
    let count = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
    *left -= count as u64;
    bytes.get(count..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first ambiguous request when the bytes come all at once, which must be the same when they come one by one.
    fn doubtful(text: &str) -> Option<u64> {
        let whole = Scan::default().feed(text.as_bytes());
        let mut scan = Scan::default();
        let single = text.as_bytes().iter().find_map(|byte| scan.feed(&[*byte]));
        assert_eq!(whole, single, "{text:?}");
        whole
    }

    const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    const TWICE: &str = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\ncontent-length: 3\r\n\r\nabc";

    #[test]
    fn what_can_be_read_in_two_ways_is_found_behind_any_body() {
        for before in [
            "",
            GET,
            "\r\n",
            "POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\n\r\n\r\nx",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5;ext=\"x\"\r\na\r\n\r\n\r\n0\r\nTrailer: x\r\n\r\n",
            "POST / HTTP/1.1\r\ntransfer-encoding:chunked\r\n\r\n0\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nCookie: cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc\r\n\r\n",
        ] {
            let heads = u64::from(before.contains("HTTP"));
            assert_eq!(doubtful(&format!("{before}{GET}{GET}")), None, "{before:?}");
            for bad in [
                TWICE,
                "POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
                "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n",
                "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
                "POST / HTTP/1.1\r\nContent-Length: +3\r\n\r\n",
                "POST / HTTP/1.1\r\nContent-Length: 3, 3\r\n\r\n",
                "POST / HTTP/1.1\r\nContent-Length:\r\n\r\n",
                "POST / HTTP/1.1\r\nContent-Length: 18446744073709551616\r\n\r\n",
                "GET / HTTP/1.1\nHost: a\r\n\r\n",
                "GET / HTTP/1.1\r\nHost: a\n\r\n",
                "GET / HTTP/1.1\r\nHost: a\r\n\n",
            ] {
                assert_eq!(doubtful(&format!("{before}{bad}")), Some(heads), "{before:?} {bad:?}");
            }
        }
    }

    #[test]
    fn bytes_of_a_body_are_no_heads() {
        assert_eq!(doubtful(&format!("POST / HTTP/1.1\r\nContent-Length: {}\r\n\r\n{TWICE}{GET}", TWICE.len())), None);
        let chunk = format!("{:x}\r\n{TWICE}\r\n", TWICE.len());
        assert_eq!(doubtful(&format!("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}0\r\n\r\n{GET}")), None);
    }

    #[test]
    fn requests_are_counted_up_to_the_doubtful_one() {
        let framing = Framing::new();
        assert!(!framing.is_next_ambiguous());
        framing.doubtful.store(2, Ordering::Relaxed);
        assert!(!framing.is_next_ambiguous());
        assert!(framing.is_next_ambiguous() && framing.is_next_ambiguous());
    }
}
