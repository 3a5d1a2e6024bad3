//! Short: pieces of text of a few bytes, copied and compared in blocks of a fixed size, which costs no call.
//!
//! An answer is made of thousands of keys and values, most of them shorter than a block. Relied on by `decode` and `write`.

/// Bytes handled at once, so that so many more than are put may be needed for a moment.
pub const BLOCK: usize = 16;

/// Appends the first `len` bytes of `text`. Whole blocks are copied where `text` goes on, and cut again.
#[inline]
pub fn put(out: &mut Vec<u8>, text: &[u8], len: usize) {
    match text.first_chunk::<BLOCK>() {
        Some(block) if len <= BLOCK => {
            let end = out.len() + len;
            out.extend_from_slice(block);
            out.truncate(end);
        }
        _ => out.extend_from_slice(text.get(..len).unwrap_or(text)),
    }
}

/// A key of an answer to the client, `,"key":`.
#[derive(Clone, Debug)]
pub struct Written {
    text: Box<[u8]>,
    len: usize,
}

impl Written {
    /// The key of a field. Response keys are names, in which nothing needs escaping.
    pub fn new(name: &str) -> Self {
        let mut text = [b",\"", name.as_bytes(), b"\":"].concat();
        let len = text.len();
        text.resize(len.max(BLOCK), 0);
        Self { text: text.into(), len }
    }

    /// The bytes that it takes.
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + self.text.len().next_multiple_of(BLOCK)
    }

    /// Appends it.
    #[inline]
    pub fn put(&self, out: &mut Vec<u8>) {
        put(out, &self.text, self.len);
    }
}

/// A key as it is expected in a subgraph's answer, `"key":`.
#[derive(Clone, Copy, Debug)]
pub struct Expected {
    block: u128,
    mask: u128,
    len: usize,
}

impl Expected {
    /// The key of a field; one that is longer than a block is never found.
    pub fn new(name: &str) -> Self {
        let text = [b"\"", name.as_bytes(), b"\":"].concat();
        let mut block = [0; BLOCK];
        let Some(start) = block.get_mut(..text.len()) else { return Self { block: 1, mask: 0, len: 0 } };
        start.copy_from_slice(&text);
        let mask = u128::MAX >> (8 * (BLOCK - text.len()));
        Self { block: u128::from_le_bytes(block), mask, len: text.len() }
    }

    /// Its length, if `text` begins with it. Where `text` is shorter than a block it is not looked for.
    #[inline]
    pub fn begins(&self, text: &[u8]) -> Option<usize> {
        let block = u128::from_le_bytes(*text.first_chunk()?);
        (block & self.mask == self.block).then_some(self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_of_all_lengths_are_put_whole_and_without_what_follows() {
        let text: Vec<u8> = (0..40).collect();
        for end in 0..text.len() {
            for len in 0..=end {
                let mut out = vec![7];
                put(&mut out, &text[..end], len);
                assert_eq!(out[1..], text[..len], "{len} of {end}");
            }
        }
        for name in ["a", "shippingEstimate", "abcdefghijkl", "abcdefghijklm", "a_name_that_is_longer_than_two_blocks_together"] {
            let mut out = b"{}".to_vec();
            Written::new(name).put(&mut out);
            assert_eq!(String::from_utf8_lossy(&out), format!("{{}},\"{name}\":"));
        }
    }

    #[test]
    fn a_key_is_found_whole_or_not_at_all() {
        let rest = "1,\"and\":[2,3,4,5,6]}";
        for name in ["a", "name", "abcdefghijklm", "abcdefghijklmn"] {
            let found = |text: &str| Expected::new(name).begins(format!("{text}{rest}").as_bytes());
            let len = name.len() + 3;
            assert_eq!(found(&format!("\"{name}\":")), (len <= BLOCK).then_some(len), "{name}");
            for other in [format!("\"{name}\" :"), format!("\"{name}s\":"), format!(" \"{name}\":"), format!("{name}\":")] {
                assert_eq!(found(&other), None, "{other}");
            }
        }
        assert_eq!(Expected::new("a").begins(b"\"a\":1}"), None);
        assert_eq!(Expected::new("").begins(&[0; 20]), None);
    }
}
