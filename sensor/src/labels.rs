//! Labels of recorded traffic: which packets belong to which attack. Two forms, both CSV with a header: `frame,label`
//! and `start,end,src,dst,src_port,dst_port,proto,label`. It must never guess: a line that cannot be understood is an
//! error with its number.

mod interval;

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sensor_common::{flow::FlowKey, parse::Parsed};

use self::interval::Interval;

/// Labels told apart at most.
const MAX_LABELS: usize = 1 << 15;

/// Number of a label, an index into [`Labels::names`].
pub type LabelId = u16;

/// Why labels cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LabelError {
    /// The file cannot be read.
    #[error("labels {path}: {source}; name a readable CSV file with --labels")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Neither form.
    #[error(
        "labels {path}: the header is `{found}`, expected `frame,label` or `start,end,src,dst,src_port,dst_port,proto,label`"
    )]
    Header {
        /// The file.
        path: PathBuf,
        /// Its first line.
        found: String,
    },
    /// A line that cannot be understood.
    #[error("labels {path}, line {line}: {cause}")]
    Line {
        /// The file.
        path: PathBuf,
        /// 1-based line.
        line: u64,
        /// What is wrong with it, and what is expected.
        cause: String,
    },
}

#[derive(Clone, Debug)]
enum Form {
    Frames(BTreeMap<u64, LabelId>),
    Intervals(Vec<Interval>),
}

/// Labels, ready to be asked for each frame.
#[derive(Clone, Debug)]
pub struct Labels {
    names: Vec<String>,
    form: Form,
}

impl Labels {
    /// No labels: everything is benign.
    pub fn none() -> Self {
        Self {
            names: Vec::new(),
            form: Form::Frames(BTreeMap::new()),
        }
    }

    /// Reads a label file.
    ///
    /// # Errors
    /// See [`LabelError`].
    pub fn open(path: &Path) -> Result<Self, LabelError> {
        let file = std::fs::File::open(path).map_err(|source| LabelError::Read {
            path: path.to_owned(),
            source,
        })?;
        Self::read(file, path)
    }

    /// Reads labels from anything; `path` is for messages.
    ///
    /// # Errors
    /// See [`LabelError`].
    pub fn read(input: impl Read, path: &Path) -> Result<Self, LabelError> {
        let broken = |line: u64, cause: String| LabelError::Line {
            path: path.to_owned(),
            line,
            cause,
        };
        let input = without_mark(input).map_err(|source| LabelError::Read {
            path: path.to_owned(),
            source,
        })?;
        let mut reader = csv::ReaderBuilder::new()
            .flexible(true)
            .trim(csv::Trim::All)
            .comment(Some(b'#'))
            .from_reader(input);
        let header = reader
            .headers()
            .map_err(|cause| broken(1, cause.to_string()))?
            .clone();
        let columns: Vec<String> = header.iter().map(str::to_ascii_lowercase).collect();
        let is = |expected: &str| columns.iter().map(String::as_str).eq(expected.split(','));
        let by_frame = is("frame,label");
        if !by_frame && !is("start,end,src,dst,src_port,dst_port,proto,label") {
            return Err(LabelError::Header {
                path: path.to_owned(),
                found: columns.join(",").chars().take(200).collect(),
            });
        }
        let mut names = Names::default();
        let mut frames = BTreeMap::new();
        let mut intervals = Vec::new();
        let mut record = csv::StringRecord::new();
        loop {
            match reader.read_record(&mut record) {
                Ok(true) => {}
                Ok(false) => break,
                Err(cause) => {
                    let line = cause.position().map_or(0, csv::Position::line);
                    return Err(broken(line, cause.to_string()));
                }
            }
            let line = record.position().map_or(0, csv::Position::line);
            if record.len() != columns.len() {
                let cause = format!("{} fields, expected {}", record.len(), columns.len());
                return Err(broken(line, cause));
            }
            let field = |index: usize| record.get(index).unwrap_or_default();
            let label = names
                .id(field(columns.len() - 1))
                .map_err(|cause| broken(line, cause))?;
            if by_frame {
                let frame: u64 = field(0).parse().ok().filter(|frame| *frame > 0).ok_or_else(|| {
                    let cause = format!("`{}` is no frame number (1 is the first)", field(0));
                    broken(line, cause)
                })?;
                if let Some(label) = label {
                    frames.insert(frame, label);
                }
            } else {
                let interval = Interval::parse(&field).map_err(|cause| broken(line, cause))?;
                if let Some(label) = label {
                    intervals.push(interval.labelled(label));
                }
            }
        }
        intervals.sort_by_key(Interval::start_ns);
        let form = if by_frame {
            Form::Frames(frames)
        } else {
            Form::Intervals(intervals)
        };
        Ok(Self {
            names: names.list,
            form,
        })
    }

    /// Names of the labels, in the order of their first appearance; benign is none of them.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Whether frames are named by number, so that the order and completeness of the inputs matters.
    pub fn by_frame(&self) -> bool {
        matches!(self.form, Form::Frames(_))
    }

    /// The label of a frame: its 1-based number over all inputs, its time, and what the parser made of it. With
    /// intervals that overlap the one that began last counts.
    pub fn of(&self, number: u64, time_ns: u64, parsed: Option<&Parsed>) -> Option<LabelId> {
        match &self.form {
            Form::Frames(frames) => frames.get(&number).copied(),
            Form::Intervals(intervals) => {
                let begun = intervals.partition_point(|interval| interval.start_ns() <= time_ns);
                let begun = intervals.get(..begun).unwrap_or_default();
                let matching = begun
                    .iter()
                    .rev()
                    .find(|interval| interval.holds(time_ns, parsed));
                matching.map(Interval::label)
            }
        }
    }

    /// The label of a flow that was active between two times, and the part of that time that is labelled. Of several
    /// intervals the one that began last counts. `None` for labels by frame: a flow has no frame numbers.
    pub fn of_flow(&self, start_ns: u64, end_ns: u64, key: &FlowKey) -> Option<(LabelId, u64, u64)> {
        let Form::Intervals(intervals) = &self.form else {
            return None;
        };
        let begun = intervals.partition_point(|interval| interval.start_ns() < end_ns);
        let begun = intervals.get(..begun).unwrap_or_default();
        let matching = begun
            .iter()
            .rev()
            .find(|interval| interval.end_ns() >= start_ns && interval.concerns(Some(key)))?;
        Some((
            matching.label(),
            matching.start_ns().max(start_ns),
            matching.end_ns().min(end_ns),
        ))
    }
}

/// The input behind the byte order marks that some editors put first. The CSV reader passes over one too, but only where
/// the first read brings it whole, which a pipe does not promise.
fn without_mark(mut input: impl Read) -> io::Result<impl Read> {
    const MARK: &[u8] = "\u{feff}".as_bytes();
    let mut start = MARK.to_vec();
    while start == MARK {
        start.clear();
        input.by_ref().take(MARK.len() as u64).read_to_end(&mut start)?;
    }
    Ok(io::Cursor::new(start).chain(input))
}

#[derive(Default)]
struct Names {
    list: Vec<String>,
    ids: BTreeMap<String, LabelId>,
}

impl Names {
    /// The number of a label; `None` for benign.
    fn id(&mut self, name: &str) -> Result<Option<LabelId>, String> {
        if name.is_empty() || name.eq_ignore_ascii_case("benign") {
            return Ok(None);
        }
        // A quote that is never closed makes one label of all lines behind it.
        if name.contains(char::is_control) {
            return Err(
                "a label of several lines, or with control characters; is a quote not closed?".to_owned(),
            );
        }
        if let Some(id) = self.ids.get(name) {
            return Ok(Some(*id));
        }
        if self.list.len() >= MAX_LABELS {
            return Err(format!(
                "more than {MAX_LABELS} different labels; is the last column the label?"
            ));
        }
        let id = self.list.len() as LabelId;
        self.list.push(name.to_owned());
        self.ids.insert(name.to_owned(), id);
        Ok(Some(id))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Labels, LabelError> {
        Labels::read(text.as_bytes(), Path::new("labels.csv"))
    }

    #[test]
    fn frames_are_labelled_by_number_and_benign_is_no_label() {
        let labels = read("frame,label\n3,scan\n4,benign\n5,\n6,flood\n7,scan\n").unwrap();
        assert_eq!(labels.names(), ["scan", "flood"]);
        let of = |number| labels.of(number, 0, None);
        assert_eq!(
            [3, 4, 5, 6, 7, 8].map(of),
            [Some(0), None, None, Some(1), Some(0), None]
        );
        assert!(labels.by_frame());
    }

    #[test]
    fn of_overlapping_intervals_the_latest_counts() {
        let text = "start,end,src,dst,src_port,dst_port,proto,label\n\
                    10,100,,,,,,long\n\
                    20.5,30,,,,,,short\n\
                    1970-01-01T00:02:00Z,1970-01-01T00:03:00Z,,,,,,stamp\n";
        let labels = read(text).unwrap();
        let name = |seconds: f64| {
            let label = labels.of(1, (seconds * 1e9) as u64, None)?;
            labels.names().get(usize::from(label)).map(String::as_str)
        };
        assert_eq!(name(9.0), None);
        assert_eq!(name(10.0), Some("long"));
        assert_eq!(name(20.6), Some("short"));
        assert_eq!(name(31.0), Some("long"));
        assert_eq!(name(150.0), Some("stamp"));
        assert_eq!(name(200.0), None);
    }

    #[test]
    fn a_flow_has_the_label_of_an_interval_that_its_time_and_its_ends_touch() {
        let text = "start,end,src,dst,src_port,dst_port,proto,label\n\
                    10,20,192.0.2.7,,,80,tcp,web\n\
                    15,40,192.0.2.7,,,,,any\n";
        let labels = read(text).unwrap();
        let mapped = |last| [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, last];
        let key = |host, port| {
            let zero: FlowKey = bytemuck::Zeroable::zeroed();
            FlowKey {
                addr: [mapped(1), mapped(host)],
                port: [port, 5000],
                proto: 6,
                ..zero
            }
        };
        let of = |start: u64, end: u64, key| labels.of_flow(start * 1_000_000_000, end * 1_000_000_000, &key);
        assert_eq!(of(0, 10, key(7, 80)), None);
        assert_eq!(of(5, 12, key(7, 80)), Some((0, 10_000_000_000, 12_000_000_000)));
        assert_eq!(of(10, 20, key(7, 80)), Some((1, 15_000_000_000, 20_000_000_000)));
        assert_eq!(of(5, 12, key(7, 81)), None);
        assert_eq!(of(30, 50, key(7, 81)), Some((1, 30_000_000_000, 40_000_000_000)));
        assert_eq!(of(30, 50, key(8, 81)), None);
        let frames = read("frame,label\n1,x\n").unwrap();
        assert_eq!(frames.of_flow(0, u64::MAX, &key(7, 80)), None);
    }

    #[test]
    fn what_cannot_be_understood_is_named_with_its_line() {
        for (text, part) in [
            ("a,b\n1,x\n", "expected `frame,label`"),
            ("frame,label\n1,x\nx,y\n", "line 3: `x` is no frame number"),
            ("frame,label\n0,x\n", "line 2: `0` is no frame number"),
            ("frame,label\n1\n", "line 2: 1 fields, expected 2"),
            (
                "frame,label\n1,x\n2,\"scan\n3,flood\n",
                "line 3: a label of several lines",
            ),
            (
                "start,end,src,dst,src_port,dst_port,proto,label\n5,4,,,,,,x\n",
                "line 2: the end is before the start",
            ),
            (
                "start,end,src,dst,src_port,dst_port,proto,label\n1,2,host,,,,,x\n",
                r#"line 2: "host" is no network"#,
            ),
        ] {
            let message = read(text).unwrap_err().to_string();
            assert!(message.contains(part), "{message}");
        }
    }
}
