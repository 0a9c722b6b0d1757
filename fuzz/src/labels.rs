//! The label reader on any bytes: it must never panic, take a line for another than it is, or answer for a flow what it
//! does not answer for the flow's packets.
//!
//! Where an input is plain (no quotes, no comments), what the reader says is compared with a few lines of code here
//! that know the two forms and nothing of the reader.

use std::io::{self, Read};
use std::path::Path;

use sensor::labels::{LabelError, Labels};
use sensor_common::parse::{self, Frame, Parsed};
use sensor_tests::generate::{self, Random};

use super::seeds;

const FRAMES: &str = "frame,label";
const INTERVALS: &str = "start,end,src,dst,src_port,dst_port,proto,label";
/// Flows that every input is asked about, besides frames without one.
const FLOWS: usize = 8;
/// Lines of a plain input of which the edges are asked about.
const PROBED_LINES: usize = 64;
const SECOND_NS: u64 = 1_000_000_000;

/// Reads `data` as a label file and asks it about frames and flows.
pub fn run(data: &[u8]) {
    let read = Labels::read(data, Path::new("fuzz"));
    let slow = Labels::read(OneByte(data), Path::new("fuzz"));
    let labels = match (read, slow) {
        (Ok(labels), Ok(slow)) => {
            assert_eq!(labels.names(), slow.names(), "pieces do not matter");
            labels
        }
        (Err(error), Err(slow)) => {
            assert_eq!(error.to_string(), slow.to_string(), "pieces do not matter");
            if let LabelError::Line { line, .. } = error {
                // The reader counts `\r` as an end of a line, too.
                let ends = data.iter().filter(|byte| matches!(byte, b'\n' | b'\r')).count();
                assert!((1..=ends as u64 + 1).contains(&line), "line {line} of {ends}");
            }
            return;
        }
        (read, slow) => panic!("{read:?}, but byte by byte: {slow:?}"),
    };
    let names = labels.names();
    for (index, name) in names.iter().enumerate() {
        assert!(!name.is_empty() && !name.eq_ignore_ascii_case("benign") && !name.contains(char::is_control));
        assert!(!names[..index].contains(name), "{name} twice");
    }
    let plain = Plain::read(data);
    let times = plain.as_ref().map_or_else(Vec::new, Plain::times);
    let flows = flows();
    for time_ns in [0, 1, SECOND_NS, 1 << 60, u64::MAX - 1].into_iter().chain(times) {
        for (number, parsed) in (0..).zip(std::iter::once(None).chain(flows.iter().map(Some))) {
            let label = labels.of(number, time_ns, parsed);
            assert!(label.is_none_or(|label| usize::from(label) < names.len()));
            let Some(parsed) = parsed.filter(|_| !labels.by_frame()) else {
                continue;
            };
            // A flow that lasts an instant has the label of the packet that is then.
            let flow = labels.of_flow(time_ns, time_ns + 1, &parsed.key);
            assert_eq!(flow.map(|(label, ..)| label), label);
            if let Some((_, from_ns, to_ns)) = flow {
                assert!(time_ns <= from_ns && from_ns <= to_ns && to_ns <= time_ns + 1);
            }
        }
    }
    if let Some(plain) = plain {
        plain.compare(&labels);
    }
}

/// Hands out one byte at a time, as a pipe may.
struct OneByte<'a>(&'a [u8]);

impl Read for OneByte<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = buffer.len().min(1);
        self.0.read(&mut buffer[..length])
    }
}

/// What a plain input says, read anew: `None` where a field is not of the simplest kind.
enum Plain<'a> {
    /// Frame numbers, and labels.
    Frames(Vec<(u64, &'a str)>),
    /// Seconds of start and end, whether every frame is meant, and labels.
    Intervals(Vec<(u64, u64, bool, &'a str)>),
}

impl<'a> Plain<'a> {
    fn read(data: &'a [u8]) -> Option<Self> {
        let text = std::str::from_utf8(data).ok()?;
        if text.contains(['"', '#', '\r', '\u{feff}']) {
            return None;
        }
        // A line of white space is a line of one empty field, and an empty one is none.
        let mut lines = text.split('\n').filter(|line| !line.is_empty());
        let fields = |line: &'a str| line.split(',').map(str::trim).collect::<Vec<_>>();
        match lines.next()? {
            FRAMES => lines
                .map(|line| match fields(line).as_slice() {
                    [frame, label] => Some((frame.parse().ok()?, *label)),
                    _ => None,
                })
                .collect::<Option<_>>()
                .map(Self::Frames),
            INTERVALS => lines
                .map(|line| match fields(line).as_slice() {
                    [start, end, flow @ .., label] => {
                        let everything = flow.iter().all(|field| field.is_empty());
                        Some((seconds(start)?, seconds(end)?, everything, *label))
                    }
                    _ => None,
                })
                .collect::<Option<_>>()
                .map(Self::Intervals),
            _ => None,
        }
    }

    /// Times at which something changes.
    fn times(&self) -> Vec<u64> {
        let Self::Intervals(intervals) = self else {
            return Vec::new();
        };
        let intervals = intervals.iter().take(PROBED_LINES);
        intervals
            .flat_map(|(start, end, ..)| [start, end].map(|at| at * SECOND_NS))
            .flat_map(|at_ns| [at_ns.saturating_sub(1), at_ns, at_ns + 1])
            .collect()
    }

    /// Frames without a flow have the labels of the lines that are about everything: the last of a frame number, of
    /// intervals the last of those that began last.
    fn compare(&self, labels: &Labels) {
        let name = |number, time_ns| {
            let label = labels.of(number, time_ns, None)?;
            Some(labels.names()[usize::from(label)].as_str())
        };
        let benign = |label: &str| label.is_empty() || label.eq_ignore_ascii_case("benign");
        match self {
            Self::Frames(lines) => {
                for (number, _) in lines.iter().take(PROBED_LINES) {
                    let last = lines.iter().rfind(|(of, label)| of == number && !benign(label));
                    assert_eq!(name(*number, 0), last.map(|(_, label)| *label), "frame {number}");
                }
                assert_eq!(name(0, 0), None, "frames count from 1");
            }
            Self::Intervals(lines) => {
                for time_ns in self.times() {
                    let holding = lines.iter().filter(|(start, end, everything, label)| {
                        let span = start * SECOND_NS..=end * SECOND_NS;
                        *everything && !benign(label) && span.contains(&time_ns)
                    });
                    let last = holding.max_by_key(|(start, ..)| *start);
                    let expected = last.map(|(.., label)| *label);
                    assert_eq!(name(1, time_ns), expected, "at {time_ns} ns");
                }
            }
        }
    }
}

/// Whole seconds of at most ten digits.
fn seconds(text: &str) -> Option<u64> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    (digits && text.len() <= 10).then(|| text.parse().ok())?
}

/// Flows of generated frames.
fn flows() -> Vec<Parsed> {
    let mut random = Random::new(0x0001_abe1);
    std::iter::repeat_with(|| generate::frame(&mut random))
        .filter_map(|frame| parse::parse(frame.as_slice(), &Frame::ethernet(frame.len() as u32)).ok())
        .take(FLOWS)
        .collect()
}

/// Label files of both forms: well made, odd, wrong in one place, and those beside the development captures.
pub fn seeds() -> Vec<Vec<u8>> {
    let frames = [
        "3,scan\n4,benign\n5,\n6,flood\n7,scan\n",
        "1,scan\n1,flood\n1,benign\n",
        " 8 , \"a, b\"\r\n# a comment\r\n9,\"say \"\"x\"\"\"\r\n",
        "18446744073709551615,last\n18446744073709551616,beyond\n",
        "0,x\n",
        "x,y\n",
        "1\n",
        "1,2,3\n",
        "\n\n \n",
        "2,\"never closed\n3,x\n",
        "+4,plus\n",
        "5,\u{e4}\u{30a2}\n",
    ];
    let intervals = [
        "10,100,,,,,,long\n20.5,30,,,,,,short\n10,100,,,,,,again\n",
        "1970-01-01T00:02:00Z,1970-01-01T00:03:00.5+01:00,,,,,,stamp\n",
        "0,4000000000,10.0.0.0/8,,,,,inside\n0,4000000000,,,,443,tcp,tls\n",
        "5,6,2001:db8::/32,::1,1,2,udp,six\n5,,::ffff:10.0.0.1,0.0.0.0/0,,,ICMP,four\n",
        ",,,,,,,always\n,5,,,,,,until\n5,,,,,,,from\n",
        "5,4,,,,,,backwards\n",
        "1,2,host,,,,,name\n",
        "1,2,,,65536,,,port\n",
        "1,2,,,,,256,protocol\n",
        "1,2,10.0.0.0/33,,,,,prefix\n",
        "-1,2,,,,,,before\n99999999999999999999,,,,,,,far\n",
        "1.0000000009,1.5e3,,,,,,digits\n",
    ];
    let with = |header: &str, lines: &[&str]| -> Vec<Vec<u8>> {
        lines
            .iter()
            .map(|line| format!("{header}\n{line}").into_bytes())
            .collect()
    };
    let mut all = with(FRAMES, &frames);
    all.extend(with(INTERVALS, &intervals));
    all.extend(with("Frame , LABEL", &frames[..2]));
    all.extend(with("\u{feff}frame,label", &frames[..2]));
    all.extend(
        ["", "\n", "a,b\n1,x\n", "frame,label", "\"frame,label\n"].map(|text| text.as_bytes().to_vec()),
    );
    all.push(b"frame,label\n1,\xff\xfe\n".to_vec());
    all.extend(seeds::real_labels());
    all
}
