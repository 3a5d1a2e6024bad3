//! Paths: the one reading of a request's path that routes and policies go by, or a refusal.
//!
//! Relied on by `pipeline::route`. The request goes on with its target byte for byte, so whatever an upstream could read
//! differently from us is refused or, where both readings are harmless, read in the way that protects more.
//! Spec: <https://www.rfc-editor.org/rfc/rfc3986#section-6.2.2>

use std::borrow::Cow;

use crate::{
    error::{Error, ErrorKind},
    percent::hex_pair,
};

/// The path as routes see it: percent-decoded once, without `;parameters`, with `//` read as `/`.
///
/// Refused are dot segments, encoded or not; encoded slashes, backslashes and control characters; what is encoded twice; and
/// what does not decode to UTF-8.
///
/// # Errors
/// `BadPath`, saying what is not acceptable.
pub fn normalise(path: &str) -> Result<Cow<'_, str>, Error> {
    let mut before = 0;
    let mut is_plain = path.starts_with('/');
    for byte in path.bytes() {
        match byte {
            b'\\' | 0..=b' ' | 0x7f.. => return refuse("the path has a character that must be percent-encoded"),
            b'%' | b';' => is_plain = false,
            b'/' | b'.' if before == b'/' => is_plain = false,
            _ => {}
        }
        before = byte;
    }
    if is_plain { Ok(Cow::Borrowed(path)) } else { decode(path).map(Cow::Owned) }
}

/// A path that a route matches, as [`normalise`] reads those of requests: only so can it match any. A regular expression, after `~`,
/// stays as it is.
///
/// # Errors
/// No request has it.
pub fn configured(path: &str) -> Result<String, String> {
    if path.starts_with('~') {
        return Ok(path.to_owned());
    }
    let (mark, own) = path.strip_prefix('=').map_or(("", path), |own| ("=", own.trim_start()));
    if !own.starts_with('/') {
        return Err(format!("the path `{path}` does not begin with a slash"));
    }
    if own.contains(';') {
        return Err(format!("the path `{path}` matches nothing: parameters, from `;` on, do not count"));
    }
    let read = decode(own).map_err(|error| format!("the path `{path}` matches nothing: {}", error.detail))?;
    Ok(format!("{mark}{read}"))
}

fn refuse<T>(reason: &'static str) -> Result<T, Error> {
    Err(Error::new(ErrorKind::BadPath, reason))
}

/// The long way, for the few paths that need it. Cost: linear.
fn decode(path: &str) -> Result<String, Error> {
    let Some(inner) = path.strip_prefix('/') else { return refuse("the path does not begin with a slash") };
    let mut decoded = Vec::with_capacity(path.len());
    let last = inner.split('/').count() - 1;
    for (position, segment) in inner.split('/').enumerate() {
        let name = segment.split(';').next().unwrap_or_default();
        if name.is_empty() && position != last {
            continue;
        }
        decoded.push(b'/');
        let start = decoded.len();
        decode_segment(name.as_bytes(), &mut decoded)?;
        if matches!(decoded.get(start..), Some(b"." | b"..")) {
            return refuse("the path has a dot segment");
        }
    }
    String::from_utf8(decoded).or_else(|_| refuse("the path does not decode to UTF-8"))
}

fn decode_segment(segment: &[u8], decoded: &mut Vec<u8>) -> Result<(), Error> {
    let mut rest = segment;
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        if first != b'%' {
            decoded.push(first);
            continue;
        }
        let Some(byte) = hex_pair(rest) else { return refuse("the path has a broken percent-encoding") };
        rest = rest.get(2..).unwrap_or_default();
        match byte {
            b'/' | b'\\' => return refuse("the path has an encoded slash or backslash"),
            0..b' ' | 0x7f => return refuse("the path has an encoded control character"),
            b'%' if hex_pair(rest).is_some() => return refuse("the path is encoded twice"),
            _ => decoded.push(byte),
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may stop at the first surprise")]
mod tests {
    use super::*;

    #[test]
    fn plain_paths_are_not_copied() {
        for path in ["/", "/api/v1/orders", "/a.b/c..d/~x", "/a/b/"] {
            assert!(matches!(normalise(path).unwrap(), Cow::Borrowed(same) if same == path), "{path}");
        }
    }

    #[test]
    fn equal_spellings_read_the_same() {
        for path in ["/admin", "//admin", "/%61dmin", "/admin;a=b", "/%61%64%6Din", "///%61dmin;x"] {
            assert_eq!(normalise(path).unwrap(), "/admin", "{path}");
        }
        assert_eq!(normalise("/a%20b/%C3%A4/").unwrap(), "/a b/ä/");
        assert_eq!(normalise("/100%25").unwrap(), "/100%");
        assert_eq!(normalise("/.well-known/x").unwrap(), "/.well-known/x");
    }

    #[test]
    fn paths_of_the_configuration_are_read_like_those_of_requests() {
        for (path, read) in [
            ("/", "/"),
            ("/users/{id}", "/users/{id}"),
            ("/caf%C3%A9/a%20b", "/café/a b"),
            ("/café", "/café"),
            ("//a//b/", "/a/b/"),
            ("/c++", "/c++"),
            ("= /%61/", "=/a/"),
            ("~/a/.*;x", "~/a/.*;x"),
        ] {
            assert_eq!(configured(path).unwrap(), read, "{path}");
        }
        for bad in ["", "a", "/a/../b", "/a/%2e/b", "/a%2Fb", "/a;b", "/a%", "/%2561"] {
            assert!(configured(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_two_readers_could_read_differently_is_refused() {
        for path in [
            "/x/../admin",
            "/./admin",
            "/x/..",
            "/x/%2e%2e/admin",
            "/x/.%2E/admin",
            "/..;/admin",
            "/x/..;a=b/admin",
            "/x%2fadmin",
            "/x%2F..%2Fadmin",
            "/x%5cadmin",
            "/x\\admin",
            "/admin%00",
            "/admin%0d%0a",
            "/%2561dmin",
            "/%252e%252e/admin",
            "/%c0%af",
            "/%e0%80%af",
            "/admin%",
            "/admin%6",
            "/admin%zz",
            "*",
            "",
            "/ä",
        ] {
            assert_eq!(normalise(path).unwrap_err().kind, ErrorKind::BadPath, "{path}");
        }
    }
}
