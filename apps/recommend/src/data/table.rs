//! Rows of a table, read as a stream: CSV, TSV, cells apart by `;`, spaces, or MovieLens' `::`; Parquet.

use std::borrow::Cow;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::parquet::{self, Parquet};

/// A table that is read row by row.
pub struct Table {
    path: PathBuf,
    rows: Box<dyn Rows>,
    /// The first row, until it is known whether it is a heading.
    first: Option<Vec<String>>,
    row: Row,
}

/// Where rows come from.
pub trait Rows {
    /// Fills the next row; false at the end. `path` is for messages.
    ///
    /// # Errors
    /// What cannot be read.
    fn next(&mut self, path: &Path, row: &mut Row) -> Result<bool>;

    /// Whether the first row is a heading, whatever stands in it.
    fn is_named(&self) -> bool {
        false
    }
}

/// Rows of text.
struct Text {
    input: Box<dyn BufRead>,
    form: Form,
    /// Lines that were read.
    lines: u64,
}

/// What stands between cells, and whether quotes may keep it inside of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Form {
    between: &'static [u8],
    quotes: bool,
}

/// What is done with a row's cells, and the line where it begins.
pub type OnRow<'a> = dyn FnMut(&[&[u8]], u64) -> Result<()> + 'a;

/// Cells in one piece of memory.
#[derive(Default)]
pub struct Row {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    /// The line where it begins.
    line: u64,
}

impl Row {
    /// A row without cells, that begins at a line.
    pub fn clear(&mut self, line: u64) {
        self.bytes.clear();
        self.ends.clear();
        self.line = line;
    }

    /// One more cell.
    pub fn push(&mut self, cell: &[u8]) {
        self.bytes.extend_from_slice(cell);
        self.ends.push(self.bytes.len());
    }

    fn cells(&self) -> Vec<&[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, &end)| &self.bytes[start..end]).collect()
    }
}

/// No row of a table of people and items is longer, nor what one person had; a file of another kind soon has one that is.
const LONGEST: usize = 1 << 24;

impl Table {
    /// Opens a file, `-` being stdin, and reads its first row.
    ///
    /// # Errors
    /// A file that cannot be read, is empty, or is no text.
    pub fn open(path: &Path) -> Result<Self> {
        let name = || path.display().to_string();
        let extension = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
        if matches!(extension.as_str(), "arrow" | "feather" | "xlsx" | "gz" | "zip") {
            bail!("{}: .{extension} is not read: write it as CSV or Parquet first", name());
        }
        let input: Box<dyn Read> = if path.as_os_str() == "-" {
            Box::new(std::io::Cursor::new(cli::read_stdin()?))
        } else {
            if path.is_dir() {
                bail!("{}: a folder, not a table", name());
            }
            Box::new(File::open(path).with_context(name)?)
        };
        let mut input = BufReader::with_capacity(1 << 18, input);
        let begin = input.fill_buf().with_context(name)?;
        if begin.is_empty() {
            bail!("{}: empty", name());
        }
        let rows: Box<dyn Rows> = if begin.starts_with(parquet::MARK) {
            if path.as_os_str() == "-" {
                let mut whole = Vec::new();
                input.read_to_end(&mut whole).with_context(name)?;
                Box::new(Parquet::open(path, bytes::Bytes::from(whole))?)
            } else {
                Box::new(Parquet::open(path, File::open(path).with_context(name)?)?)
            }
        } else {
            if begin.contains(&0) {
                bail!("{}: not a table of text (it has bytes of zero)", name());
            }
            // what Excel writes first
            let mark = if begin.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
            let form = form(&begin[mark..], &extension);
            input.consume(mark);
            Box::new(Text { input: Box::new(input), form, lines: 0 })
        };
        let mut table = Self { path: path.to_path_buf(), rows, first: None, row: Row::default() };
        if !table.next_row()? {
            bail!("{}: empty", table.name());
        }
        table.first = Some(table.row.cells().into_iter().map(|cell| text(cell).trim().to_string()).collect());
        Ok(table)
    }

    /// The file's name, for messages.
    pub fn name(&self) -> String {
        self.path.display().to_string()
    }

    /// The first row, if it was not skipped.
    pub fn first(&self) -> &[String] {
        self.first.as_deref().unwrap_or_default()
    }

    /// Whether the first row is a heading, whatever stands in it.
    pub fn is_named(&self) -> bool {
        self.rows.is_named()
    }

    /// The first row is a heading.
    pub fn skip_heading(&mut self) {
        self.first = None;
    }

    /// Calls `f` with each row that is left, which has at least one cell that is not blank, and the line where it begins.
    ///
    /// # Errors
    /// A file that cannot be read, and those of `f`.
    pub fn each(&mut self, f: &mut OnRow<'_>) -> Result<()> {
        if self.first.take().is_some() {
            f(&self.row.cells(), self.row.line)?;
        }
        while self.next_row()? {
            f(&self.row.cells(), self.row.line)?;
        }
        Ok(())
    }

    /// Reads the next row that is not blank; false at the end.
    fn next_row(&mut self) -> Result<bool> {
        self.rows.next(&self.path, &mut self.row)
    }
}

impl Rows for Text {
    fn next(&mut self, path: &Path, row: &mut Row) -> Result<bool> {
        loop {
            let mut line = Vec::new();
            if !self.next_line(path, &mut line)? {
                return Ok(false);
            }
            if line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            row.clear(self.lines);
            self.split(path, line, row)?;
            return Ok(true);
        }
    }
}

impl Text {
    /// Adds a line, without its end, to `line`; false if there is none.
    fn next_line(&mut self, path: &Path, line: &mut Vec<u8>) -> Result<bool> {
        let before = line.len();
        let limit = (LONGEST + 1).saturating_sub(before) as u64;
        let read = self.input.by_ref().take(limit).read_until(b'\n', line);
        if read.with_context(|| path.display().to_string())? == 0 {
            return Ok(false);
        }
        self.lines += 1;
        if line.len() > LONGEST {
            bail!(
                "{}: line {}: longer than {LONGEST} bytes (a quote that is not closed?)",
                path.display(),
                self.lines
            );
        }
        if line.last() == Some(&b'\n') {
            line.pop();
            if line.last() == Some(&b'\r') && line.len() > before {
                line.pop();
            }
        }
        Ok(true)
    }

    /// Cuts a line into cells; where a quote is open at its end, what follows belongs to it.
    fn split(&mut self, path: &Path, mut line: Vec<u8>, row: &mut Row) -> Result<()> {
        let Form { between, quotes } = self.form;
        let mut at = 0;
        loop {
            if quotes && line.get(at) == Some(&b'"') && (between != b"\t" || closes(&line[at + 1..])) {
                at += 1;
                loop {
                    match line.get(at) {
                        Some(b'"') if line.get(at + 1) == Some(&b'"') => {
                            row.bytes.push(b'"');
                            at += 2;
                        }
                        Some(b'"') => {
                            at += 1;
                            break;
                        }
                        Some(&byte) => {
                            row.bytes.push(byte);
                            at += 1;
                        }
                        None => {
                            line.push(b'\n');
                            if !self.next_line(path, &mut line)? {
                                bail!("{}: line {}: a quote that is not closed", path.display(), row.line);
                            }
                        }
                    }
                }
            }
            // behind a closed quote, too: what stands there belongs to the cell
            while at < line.len() && !line[at..].starts_with(between) {
                row.bytes.push(line[at]);
                at += 1;
            }
            row.ends.push(row.bytes.len());
            if at >= line.len() {
                return Ok(());
            }
            at += between.len();
        }
    }
}

/// Whether a quote ends where a cell does, on the same line: tables with tabs often have quotes that are letters like others.
fn closes(rest: &[u8]) -> bool {
    (0..rest.len()).any(|at| rest[at] == b'"' && matches!(rest.get(at + 1), None | Some(b'\t')))
}

/// By the first line, and the file's name where that says nothing.
fn form(begin: &[u8], extension: &str) -> Form {
    let line = begin.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let has = |byte: u8| line.contains(&byte);
    let quoted = |between: &'static [u8]| Form { between, quotes: true };
    match extension {
        "tsv" => return quoted(b"\t"),
        "csv" if has(b',') => return quoted(b","),
        _ => {}
    }
    if line.windows(2).any(|pair| pair == b"::") {
        return Form { between: b"::", quotes: false };
    }
    const BETWEEN: [&[u8]; 3] = [b"\t", b",", b";"];
    match BETWEEN.into_iter().find(|between| has(between[0])) {
        Some(between) => quoted(between),
        None if has(b' ') && extension != "csv" => Form { between: b" ", quotes: false },
        None => quoted(b","),
    }
}

/// A row of CSV with its end; cells with commas, quotes or ends of lines stand in quotes.
pub fn csv_row<T: AsRef<str>>(cells: impl IntoIterator<Item = T>) -> String {
    let mut row = String::new();
    for (place, cell) in cells.into_iter().enumerate() {
        if place > 0 {
            row.push(',');
        }
        let cell = cell.as_ref();
        // a first cell that is empty would make a blank line
        if cell.contains([',', '"', '\n', '\r']) || cell.trim() != cell || (cell.is_empty() && place == 0) {
            row.push('"');
            row.push_str(&cell.replace('"', "\"\""));
            row.push('"');
        } else {
            row.push_str(cell);
        }
    }
    row.push('\n');
    row
}

/// A cell as text: UTF-8, else Latin-1, which old MovieLens files are in.
pub fn text(cell: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(cell) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(cell.iter().map(|&byte| char::from(byte)).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, bytes: &str, expected: &[(&[&str], u64)]) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let mut found = Vec::new();
        Table::open(&path)
            .unwrap()
            .each(&mut |cells, line| {
                found.push((cells.iter().map(|cell| text(cell).into_owned()).collect::<Vec<_>>(), line));
                Ok(())
            })
            .unwrap();
        let expected: Vec<(Vec<String>, u64)> = expected
            .iter()
            .map(|(cells, line)| (cells.iter().map(|cell| cell.to_string()).collect(), *line))
            .collect();
        assert_eq!(found, expected, "{name}");
    }

    #[test]
    fn what_is_written_is_read_again() {
        let cells = ["a, b", "say \"x\"", "", "c\nd", "🎬 ;e", "' f"];
        let row = csv_row(cells);
        check("written.csv", &row, &[(&cells, 1)]);
        assert_eq!(csv_row(["", "a"]), "\"\",a\n");
    }

    #[test]
    fn cells_are_found_whatever_stands_between_them() {
        check(
            "a.csv",
            "u,i\n\"a, b\",\"say \"\"x\"\"\"\n\nc,🎬\n",
            &[(&["u", "i"], 1), (&["a, b", "say \"x\""], 2), (&["c", "🎬"], 4)],
        );
        check("b.csv", "\u{feff}u;i\r\n1;2\r\n", &[(&["u", "i"], 1), (&["1", "2"], 2)]);
        check(
            "c.tsv",
            "u\ti\n\"a, \"\"b\"\tc\n\"d\te\n\"f\" g\th\n",
            &[(&["u", "i"], 1), (&["a, \"b", "c"], 2), (&["\"d", "e"], 3), (&["\"f\" g", "h"], 4)],
        );
        check(
            "d.dat",
            "1::Toy: Story::x\n\n2::b::y\n",
            &[(&["1", "Toy: Story", "x"], 1), (&["2", "b", "y"], 3)],
        );
        check("e.txt", "1 2\n3 4\n", &[(&["1", "2"], 1), (&["3", "4"], 2)]);
    }
}
