//! Values as text, for CSV and JSON lines. It must never change a number: what is written reads back equal.

use std::io::Write as _;

use super::column::{ColumnType, Misfit, Value};

/// Appends a number; JSON's notation is that of CSV too.
pub(super) fn number(out: &mut Vec<u8>, value: impl serde::Serialize) {
    // Writing to memory cannot fail.
    let _ = serde_json::to_writer(out, &value);
}

/// Appends a time as RFC 3339 in UTC with microseconds.
pub(super) fn time(out: &mut Vec<u8>, unix_ns: i64) {
    let micros = unix_ns.div_euclid(1000);
    let (days, micros_of_day) = (
        micros.div_euclid(86_400_000_000),
        micros.rem_euclid(86_400_000_000),
    );
    let (year, month, day) = civil(days);
    let (seconds, fraction) = (micros_of_day / 1_000_000, micros_of_day % 1_000_000);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let _ = write!(
        out,
        "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{fraction:06}Z"
    );
}

/// Year, month and day of a day since 1970-01-01 (H. Hinnant, "chrono-Compatible Low-Level Date Algorithms",
/// `civil_from_days`).
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// A value from its text.
pub(super) fn parse(kind: ColumnType, text: &str) -> Result<Value<'_>, Misfit> {
    match kind {
        // Times are not read back: exact integers stand beside them.
        ColumnType::Text | ColumnType::Time => Ok(Value::Text(text)),
        ColumnType::Float => text.parse().map(Value::Float).map_err(|_| Misfit),
        ColumnType::Int32 | ColumnType::Int64 => integer(text).map(Value::Int).ok_or(Misfit),
    }
}

/// A whole number; also one that another tool wrote as "12.0", as pandas does with columns that have gaps.
fn integer(text: &str) -> Option<i64> {
    text.parse().ok().or_else(|| {
        let value: f64 = text.parse().ok()?;
        (value.fract() == 0.0 && value.abs() <= 9e15).then_some(value as i64)
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn times_are_rfc_3339() {
        assert_eq!(text(|out| time(out, 0)), "1970-01-01T00:00:00.000000Z");
        assert_eq!(
            text(|out| time(out, 1_709_210_096_123_456_789)),
            "2024-02-29T12:34:56.123456Z"
        );
        assert_eq!(text(|out| time(out, -1)), "1969-12-31T23:59:59.999999Z");
    }

    #[test]
    fn whole_numbers_that_another_tool_wrote_as_floats_are_read() {
        assert_eq!(integer("12.0"), Some(12));
        assert_eq!(integer("12.5"), None);
        assert_eq!(integer("9223372036854775807"), Some(i64::MAX));
    }

    proptest! {
        #[test]
        fn every_time_reads_back(unix_us in -9_000_000_000_000_000i64..9_000_000_000_000_000) {
            let written = text(|out| time(out, unix_us * 1000));
            let read: jiff::Timestamp = written.parse().unwrap();
            prop_assert_eq!(read.as_microsecond(), unix_us);
        }

        #[test]
        fn every_float_reads_back(bits in any::<u32>()) {
            let value = f32::from_bits(bits);
            prop_assume!(value.is_finite());
            let written = text(|out| number(out, value));
            let Ok(Value::Float(read)) = parse(ColumnType::Float, &written) else {
                return Err(TestCaseError::fail(written));
            };
            prop_assert_eq!(read.to_bits(), bits);
        }
    }
}
