//! Counts the frames of a capture in the plainest way, sharing nothing with the reader. It must never guess: a file that
//! is not framed perfectly has no count.

/// Frames of a pcap or pcapng file; `None` where it breaks off or is compressed.
pub(crate) fn frames(bytes: &[u8]) -> Option<u64> {
    if bytes.starts_with(&[0x0a, 0x0d, 0x0d, 0x0a]) {
        return blocks(bytes);
    }
    let little = match bytes.get(..4)? {
        [0xd4, 0xc3, 0xb2, 0xa1] | [0x4d, 0x3c, 0xb2, 0xa1] => true,
        [0xa1, 0xb2, 0xc3, 0xd4] | [0xa1, 0xb2, 0x3c, 0x4d] => false,
        _ => return None,
    };
    let (mut at, mut count) = (24, 0);
    while at < bytes.len() {
        at += 16 + number(bytes, at + 8, little)? as usize;
        count += 1;
    }
    (at == bytes.len()).then_some(count)
}

fn blocks(bytes: &[u8]) -> Option<u64> {
    let (mut at, mut count, mut little) = (0, 0, true);
    while at < bytes.len() {
        if bytes[at..].starts_with(&[0x0a, 0x0d, 0x0d, 0x0a]) {
            little = *bytes.get(at + 8)? == 0x4d;
        }
        let length = number(bytes, at + 4, little)? as usize;
        if length < 12 {
            return None;
        }
        // Simple, obsolete and enhanced packets.
        count += u64::from(matches!(number(bytes, at, little)?, 2 | 3 | 6));
        at += length;
    }
    (at == bytes.len()).then_some(count)
}

fn number(bytes: &[u8], at: usize, little: bool) -> Option<u32> {
    let bytes = bytes.get(at..at + 4)?.try_into().ok()?;
    Some(if little {
        u32::from_le_bytes(bytes)
    } else {
        u32::from_be_bytes(bytes)
    })
}
