//! Words and numbers as the kernel prints them, from bytes. `None` for anything that is no number or too large.

/// The words of a line, separated by ASCII blanks only.
pub fn words(line: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty())
}

/// Decimal without sign.
#[must_use]
pub fn decimal<T: TryFrom<u64>>(digits: &[u8]) -> Option<T> {
    radix(digits, 10)
}

/// Decimal that may be negative.
#[must_use]
pub fn signed<T: TryFrom<i64>>(digits: &[u8]) -> Option<T> {
    let value = match digits.strip_prefix(b"-") {
        Some(rest) => decimal::<i64>(rest)?.checked_neg()?,
        None => decimal(digits)?,
    };
    T::try_from(value).ok()
}

/// Hexadecimal without prefix.
#[must_use]
pub fn hex<T: TryFrom<u64>>(digits: &[u8]) -> Option<T> {
    radix(digits, 16)
}

/// Octal; a leading `0` changes nothing.
#[must_use]
pub fn octal<T: TryFrom<u64>>(digits: &[u8]) -> Option<T> {
    radix(digits, 8)
}

fn radix<T: TryFrom<u64>>(digits: &[u8], radix: u32) -> Option<T> {
    if digits.is_empty() {
        return None;
    }
    let value = digits.iter().try_fold(0_u64, |value, &byte| {
        value.checked_mul(radix.into())?.checked_add(char::from(byte).to_digit(radix)?.into())
    })?;
    T::try_from(value).ok()
}

/// `MAJOR:MINOR`, both in the given base: decimal in mountinfo, hexadecimal in maps and lock lines.
#[must_use]
pub fn device(text: &[u8], parse: fn(&[u8]) -> Option<u32>) -> Option<(u32, u32)> {
    let colon = text.iter().position(|&byte| byte == b':')?;
    let (major, minor) = text.split_at(colon);
    Some((parse(major)?, parse(minor.get(1..)?)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_numbers_that_fit_are_numbers() {
        assert_eq!(decimal::<u32>(b"4294967295"), Some(u32::MAX));
        assert_eq!(decimal::<u32>(b"4294967296"), None);
        assert_eq!(hex::<u64>(b"ffffffffff601000"), Some(0xffff_ffff_ff60_1000));
        assert_eq!(hex::<u64>(b"1ffffffffffffffff"), None);
        assert_eq!(octal::<u32>(b"02004000"), Some(0o2_004_000));
        assert_eq!(signed::<i32>(b"-1"), Some(-1));
        for wrong in [&b""[..], b"-", b"+1", b" 1", b"1 ", b"0x1", b"\xff"] {
            assert_eq!(decimal::<u64>(wrong), None, "{wrong:?}");
        }
        assert_eq!(device(b"fe:01", hex), Some((0xfe, 1)));
        assert_eq!(device(b"8", decimal), None);
    }
}
