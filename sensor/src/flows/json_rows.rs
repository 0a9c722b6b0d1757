//! Rows as JSON lines: one flat object each, absent values left out.
//! It must never pass a number through a type that changes it: numbers are read from their text.

use std::{
    collections::HashMap,
    io::{self, BufRead, BufReader, Read, Write},
};

use super::{
    column::{Cell, Column, Misfit, Row},
    columns,
    csv_rows::misfit,
    guard::LineGuard,
    parts::Parts,
    text,
};

/// Writes rows.
#[derive(Debug)]
pub(super) struct JsonWriter<W> {
    out: W,
    line: Vec<u8>,
}

impl<W: Write> JsonWriter<W> {
    pub(super) fn new(out: W) -> Self {
        Self {
            out,
            line: Vec::new(),
        }
    }

    pub(super) fn write(&mut self, row: &Row<'_>) -> io::Result<()> {
        self.line.clear();
        for column in columns() {
            let cell = column.cell(row);
            if cell == Cell::Null {
                continue;
            }
            self.line.push(if self.line.is_empty() { b'{' } else { b',' });
            // Names are plain ASCII words (tested).
            self.line.push(b'"');
            self.line.extend_from_slice(column.name.as_bytes());
            self.line.extend_from_slice(b"\":");
            match cell {
                Cell::Null => {}
                Cell::Int(value) => text::number(&mut self.line, value),
                Cell::Float(value) => text::number(&mut self.line, value),
                Cell::Text(name) => text::number(&mut self.line, name),
                Cell::Time(unix_ns) => {
                    self.line.push(b'"');
                    text::time(&mut self.line, unix_ns);
                    self.line.push(b'"');
                }
            }
        }
        self.line.extend_from_slice(b"}\n");
        self.out.write_all(&self.line)
    }

    /// Everything written, back to what lies beneath.
    pub(super) fn finish(self) -> W {
        self.out
    }
}

/// Reads rows.
#[derive(Debug)]
pub(super) struct JsonReader<R: Read> {
    input: BufReader<LineGuard<R>>,
    line: String,
    known: HashMap<&'static str, &'static Column>,
}

impl<R: Read> JsonReader<R> {
    pub(super) fn new(input: R) -> Self {
        Self {
            input: BufReader::new(LineGuard::new(input)),
            line: String::new(),
            known: columns().iter().map(|column| (&*column.name, column)).collect(),
        }
    }

    /// Fills in the next row; `false` at the end.
    pub(super) fn next(&mut self, parts: &mut Parts) -> Result<bool, String> {
        loop {
            self.line.clear();
            let count = self
                .input
                .read_line(&mut self.line)
                .map_err(|cause| cause.to_string())?;
            if count == 0 {
                return Ok(false);
            }
            if !self.line.trim().is_empty() {
                break;
            }
        }
        let known = &self.known;
        fields(&self.line, |name, token| {
            let Some(column) = known.get(name).filter(|column| column.is_read()) else {
                return Ok(());
            };
            let value = match token {
                Token::Null => return Ok(()),
                Token::Number(text) | Token::Text(text) => text::parse(column.kind, text),
            };
            let shown = match token {
                Token::Null => "null",
                Token::Number(text) | Token::Text(text) => text,
            };
            value
                .and_then(|value| column.put(parts, &value))
                .map_err(|Misfit| misfit(column, shown))
        })?;
        Ok(true)
    }
}

/// A value as it stands in the line.
#[derive(Clone, Copy, Debug)]
enum Token<'a> {
    Null,
    Number(&'a str),
    Text(&'a str),
}

/// Calls `each` with every name and value of a flat object.
fn fields(line: &str, mut each: impl FnMut(&str, Token<'_>) -> Result<(), String>) -> Result<(), String> {
    let malformed = || "not one JSON object per line, or a nested one".to_owned();
    let mut rest = line.trim().strip_prefix('{').ok_or_else(malformed)?.trim_start();
    if rest == "}" {
        return Ok(());
    }
    loop {
        let (name, after) = string(rest).ok_or_else(malformed)?;
        rest = after
            .trim_start()
            .strip_prefix(':')
            .ok_or_else(malformed)?
            .trim_start();
        if rest.starts_with('"') {
            let (value, after) = string(rest).ok_or_else(malformed)?;
            each(&name, Token::Text(&value))?;
            rest = after;
        } else {
            let end = rest
                .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.')))
                .ok_or_else(malformed)?;
            let (word, after) = rest.split_at(end);
            let token = match word {
                "" => return Err(malformed()),
                "null" => Token::Null,
                word => Token::Number(word),
            };
            each(&name, token)?;
            rest = after;
        }
        rest = rest.trim_start();
        if let Some(after) = rest.strip_prefix(',') {
            rest = after.trim_start();
        } else if rest == "}" {
            return Ok(());
        } else {
            return Err(malformed());
        }
    }
}

/// The string at the beginning of `text`, and what comes after it.
fn string(text: &str) -> Option<(std::borrow::Cow<'_, str>, &str)> {
    let body = text.strip_prefix('"')?;
    let end = body.find(['"', '\\'])?;
    if body.as_bytes().get(end) == Some(&b'"') {
        let (value, rest) = body.split_at(end);
        return Some((value.into(), rest.get(1..)?));
    }
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<String>();
    let value = values.next()?.ok()?;
    Some((value.into(), text.get(values.byte_offset()..)?))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Vec<(String, String)>, String> {
        let mut found = Vec::new();
        fields(line, |name, token| {
            found.push((name.to_owned(), format!("{token:?}")));
            Ok(())
        })?;
        Ok(found)
    }

    #[test]
    fn flat_objects_of_other_tools_are_read() {
        let line = "  { \"a\" : 1.5e3 ,\"b\\u0041\":\"x\\\"y\", \"c\":null,\"d\":\"\" } \n";
        let expected = [
            ("a", "Number(\"1.5e3\")"),
            ("bA", "Text(\"x\\\"y\")"),
            ("c", "Null"),
            ("d", "Text(\"\")"),
        ];
        assert_eq!(
            parsed(line).unwrap(),
            expected.map(|(a, b)| (a.to_owned(), b.to_owned()))
        );
        assert_eq!(parsed("{}").unwrap(), []);
    }

    #[test]
    fn anything_else_is_refused() {
        for line in [
            "",
            "[1]",
            "{",
            "{\"a\"",
            "{\"a\":",
            "{\"a\":1",
            "{\"a\":1,}",
            "{\"a\":[1]}",
            "{\"a\":{}}",
            "{\"a\":1}x",
            "{\"a\\",
            "{\"a\":\"b\\\"}",
        ] {
            assert!(parsed(line).is_err(), "{line}");
        }
    }
}
