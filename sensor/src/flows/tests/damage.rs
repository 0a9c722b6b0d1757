//! Damaged files: a clear error or, where a format cannot tell, other values; never a panic, never an endless read.

use std::{fs, sync::LazyLock};

use proptest::prelude::*;

use super::{NAMES, samples};
use crate::flows::{FlowsError, Selection};

/// One whole file of each format.
static WHOLE: LazyLock<[Vec<u8>; 3]> = LazyLock::new(|| {
    let (sample, dir) = (samples::sample(), tempfile::tempdir().unwrap());
    NAMES.map(|name| {
        let path = dir.path().join(name);
        samples::write(&path, &sample, Selection::All);
        fs::read(&path).unwrap()
    })
});

fn outcome(format: usize, bytes: &[u8]) -> Result<usize, FlowsError> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(NAMES[format]);
    fs::write(&path, bytes).unwrap();
    samples::read(&path).map(|windows| windows.len())
}

#[test]
fn other_files_are_refused_with_their_name() {
    for (bytes, part) in [
        (&b""[..], "no column kind"),
        (b"\xd4\xc3\xb2\xa1\x02\0\x04\0", "x.parquet"),
        (b"PAR1", "x.parquet"),
        (b"{\"a\":1}\n", "row 1"),
        (b"a,b\n1,2\n", "no column kind"),
        (b"{\n", "row 1"),
    ] {
        let cause = outcome(0, bytes).unwrap_err().to_string();
        assert!(cause.contains(part) && cause.contains("x.parquet"), "{cause}");
    }
}

#[test]
fn a_cut_parquet_file_is_refused_at_once() {
    let whole = &WHOLE[0];
    for end in [whole.len() - 1, whole.len() / 2, 100, 5] {
        assert!(outcome(0, &whole[..end]).is_err(), "{end}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn cut_files_never_panic(format in 0..3_usize, share in 0.0..1.0_f64) {
        let whole = &WHOLE[format];
        let end = (whole.len() as f64 * share) as usize;
        let _ = outcome(format, &whole[..end]);
    }

    #[test]
    fn changed_bytes_never_panic(
        format in 0..3_usize,
        changes in prop::collection::vec((0.0..1.0_f64, any::<u8>()), 1..6),
    ) {
        let mut bytes = WHOLE[format].clone();
        for (share, byte) in changes {
            let at = (bytes.len() as f64 * share) as usize;
            bytes[at] = byte;
        }
        let _ = outcome(format, &bytes);
    }

    #[test]
    fn changed_parquet_metadata_never_panics(
        changes in prop::collection::vec((1..20_000_usize, any::<u8>()), 1..6),
    ) {
        let mut bytes = WHOLE[0].clone();
        let length = bytes.len();
        for (from_end, byte) in changes {
            bytes[length - 1 - from_end % length] = byte;
        }
        let _ = outcome(0, &bytes);
    }
}
