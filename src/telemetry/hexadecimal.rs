//! Hexadecimal digits of numbers: of ids in headers, in spans and in log lines.
//!
//! Ids are written for every request, and formatting in general costs several times as much. Relied on by `telemetry::traces` and
//! `pipeline::request_id`.

/// The digits of a number in lower case, eight at a time: every digit is a byte of one larger number.
pub fn digits(number: u32) -> [u8; 8] {
    let spread = u64::from(number);
    let spread = (spread << 16 | spread) & 0x0000_ffff_0000_ffff;
    let spread = (spread << 8 | spread) & 0x00ff_00ff_00ff_00ff;
    let spread = (spread << 4 | spread) & 0x0f0f_0f0f_0f0f_0f0f;
    // Six more carries a digit above nine into its byte's upper half.
    let letters = ((spread + 0x0606_0606_0606_0606) >> 4) & 0x0101_0101_0101_0101;
    let digits = spread + 0x3030_3030_3030_3030 + letters * u64::from(b'a' - b'0' - 10);
    digits.to_be_bytes()
}

/// The digits of a 64-bit number.
pub fn digits_of_64(number: u64) -> [u8; 16] {
    let mut text = [0; 16];
    let (high, low) = text.split_at_mut(8);
    high.copy_from_slice(&digits((number >> 32) as u32));
    low.copy_from_slice(&digits(number as u32));
    text
}

/// The digits of a 128-bit number.
pub fn digits_of_128(number: u128) -> [u8; 32] {
    let mut text = [0; 32];
    let (high, low) = text.split_at_mut(16);
    high.copy_from_slice(&digits_of_64((number >> 64) as u64));
    low.copy_from_slice(&digits_of_64(number as u64));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_those_of_general_formatting() {
        for number in [0, 1, 9, 10, 15, 16, 0x0123_4567, 0x89ab_cdef, 0xfedc_ba98, u32::MAX] {
            assert_eq!(digits(number), format!("{number:08x}").as_bytes());
            let wide = u64::from(number) << 20 | 0xf;
            assert_eq!(digits_of_64(wide), format!("{wide:016x}").as_bytes());
            let wide = u128::from(wide) << 64 | u128::from(number);
            assert_eq!(digits_of_128(wide), format!("{wide:032x}").as_bytes());
        }
    }
}
