//! WebVTT timestamps (<https://www.w3.org/TR/webvtt1/> 6.3, "collect a WebVTT timestamp").

use std::fmt;

/// Digits of the hours that are read. A billion hours fit milliseconds in 64 bits with room to
/// add offsets.
const HOUR_DIGITS_MAX: usize = 9;

const MS_PER_HOUR: u64 = 3_600_000;
const MS_PER_MINUTE: u64 = 60_000;
const MS_PER_SECOND: u64 = 1_000;

/// Milliseconds, printed as `HH:MM:SS.mmm` with as many digits of hours as it takes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Timestamp(pub(super) u64);

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(ms) = *self;
        write!(
            f,
            "{:02}:{:02}:{:02}.{:03}",
            ms / MS_PER_HOUR,
            ms / MS_PER_MINUTE % 60,
            ms / MS_PER_SECOND % 60,
            ms % MS_PER_SECOND
        )
    }
}

/// Reads a timestamp off the front of `text`: milliseconds, and what follows it.
///
/// Hours may be absent; when present they have two digits or more. The first number is minutes
/// only when it has two digits and is below 60.
pub(super) fn parse_timestamp(text: &str) -> Option<(u64, &str)> {
    let (first, rest) = take_digits(text);
    if first.is_empty() || first.len() > HOUR_DIGITS_MAX {
        return None;
    }
    let first_is_hours = first.len() != 2 || number(first)? > 59;
    let (second, rest) = take_digits(rest.strip_prefix(':')?);
    if second.len() != 2 {
        return None;
    }
    let (hours, minutes, seconds, rest) = match rest.strip_prefix(':') {
        Some(rest) => {
            let (third, rest) = take_digits(rest);
            if third.len() != 2 {
                return None;
            }
            (number(first)?, number(second)?, number(third)?, rest)
        }
        None if first_is_hours => return None,
        None => (0, number(first)?, number(second)?, rest),
    };
    let (millis, rest) = take_digits(rest.strip_prefix('.')?);
    if millis.len() != 3 || minutes > 59 || seconds > 59 {
        return None;
    }
    let ms =
        hours * MS_PER_HOUR + minutes * MS_PER_MINUTE + seconds * MS_PER_SECOND + number(millis)?;
    Some((ms, rest))
}

pub(super) fn take_digits(text: &str) -> (&str, &str) {
    let end = text.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    text.split_at(end)
}

fn number(digits: &str) -> Option<u64> {
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn timestamps_follow_the_standard() {
        let check = |text: &str, expected: Option<(u64, &str)>| {
            assert_eq!(parse_timestamp(text), expected, "{text}");
        };
        check("00:00.000", Some((0, "")));
        check("01:02.003 x", Some((62_003, " x")));
        check("01:02:03.004", Some((3_723_004, "")));
        check("100:00:00.000-->", Some((360_000_000, "-->")));
        check("1:02:03.004", Some((3_723_004, "")));
        check("999999999:59:59.999", Some((3_599_999_999_999_999, "")));
        check("9999999999:00:00.000", None);
        check("60:00.000", None);
        check("1:00.000", None);
        check("00:60.000", None);
        check("00:60:00.000", None);
        check("00:00:60.000", None);
        check("00:00.00", None);
        check("00:00.0000", None);
        check("00:00,000", None);
        check("00:0.000", None);
        check("", None);
        check("-00:00.000", None);
        check("٠٠:00.000", None);
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read(ms in 0..3_600_000_000_000_000_u64) {
            let text = Timestamp(ms).to_string();
            prop_assert_eq!(parse_timestamp(&text), Some((ms, "")));
        }
    }
}
