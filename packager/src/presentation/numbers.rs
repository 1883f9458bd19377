//! Decimal output for manifests, without `format!` on the way of every segment.

use crate::Timescale;

/// Microseconds in a second: the resolution at which manifests print instants.
pub(crate) const MICROS: u64 = 1_000_000;

pub(crate) fn push_number(out: &mut String, number: u64) {
    out.push_str(itoa::Buffer::new().format(number));
}

/// Nearest microsecond to `ticks` of `timescale`, halves up.
///
/// Instants are rounded and durations are differences of rounded instants, so that printed
/// durations add up to the rounded end, however many they are.
pub(crate) fn micros(ticks: u64, timescale: Timescale) -> u64 {
    let per_second = u64::from(timescale.get());
    let (seconds, rest) = (ticks / per_second, ticks % per_second);
    // `rest` is below 2^32 and a million below 2^20: no overflow.
    let fraction = (rest * MICROS + per_second / 2) / per_second;
    seconds.saturating_mul(MICROS).saturating_add(fraction)
}

/// Seconds with three decimals, or six where three would lose something.
pub(crate) fn push_seconds(out: &mut String, micros: u64) {
    push_number(out, micros / MICROS);
    let fraction = micros % MICROS;
    let (fraction, digits) =
        if fraction.is_multiple_of(1_000) { (fraction / 1_000, 3) } else { (fraction, 6) };
    out.push('.');
    push_padded(out, fraction, digits);
}

/// `number` with leading zeros up to `digits`.
pub(crate) fn push_padded(out: &mut String, number: u64, digits: usize) {
    let mut buffer = itoa::Buffer::new();
    let text = buffer.format(number);
    for _ in text.len()..digits {
        out.push('0');
    }
    out.push_str(text);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(micros: u64, expected: &str) {
        let mut out = String::new();
        push_seconds(&mut out, micros);
        assert_eq!(out, expected);
    }

    #[test]
    fn seconds_have_three_or_six_decimals() {
        check(0, "0.000");
        check(6_006_000, "6.006");
        check(5_994_667, "5.994667");
        check(1_000_001, "1.000001");
        check(u64::MAX, "18446744073709.551615");
    }

    proptest! {
        /// Never more than half a microsecond from the exact instant.
        #[test]
        fn micros_are_the_nearest(ticks in 0..u64::from(u32::MAX) * 1_000, per_second in 1..u32::MAX) {
            let rounded = u128::from(micros(ticks, Timescale::new(per_second).unwrap()));
            let (exact, unit) = (u128::from(ticks) * u128::from(MICROS), u128::from(per_second));
            prop_assert!((rounded * unit).abs_diff(exact) * 2 <= unit);
        }
    }
}
