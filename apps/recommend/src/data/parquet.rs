//! Rows of a Parquet file as cells of text, a group of rows in memory at a time.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Result, anyhow, bail};
use parquet::file::reader::{ChunkReader, FileReader, SerializedFileReader};
use parquet::record::Field;
use parquet::record::reader::RowIter;
use parquet::schema::types::Type;

use super::table::{Row, Rows};

/// What a Parquet file begins with.
pub const MARK: &[u8] = b"PAR1";

/// The rows of a file; the first is of its columns' names.
pub struct Parquet {
    names: Option<Vec<String>>,
    rows: RowIter<'static>,
    count: u64,
}

impl Parquet {
    /// Reads what the file says of itself. Columns of lists and records are left out.
    ///
    /// # Errors
    /// A file that is damaged, or has no plain column.
    pub fn open<R: ChunkReader + 'static>(path: &Path, input: R) -> Result<Self> {
        let damaged = |error| anyhow!("{}: a Parquet file that cannot be read: {error}", path.display());
        let reader = SerializedFileReader::new(input).map_err(damaged)?;
        let schema = reader.metadata().file_metadata().schema();
        let plain = |field: &&Arc<Type>| {
            field.is_primitive()
                && field.get_basic_info().repetition() != parquet::basic::Repetition::REPEATED
        };
        let fields: Vec<Arc<Type>> = schema.get_fields().iter().filter(plain).cloned().collect();
        if fields.is_empty() {
            bail!("{}: no column of plain values", path.display());
        }
        let names = fields.iter().map(|field| field.name().to_string()).collect();
        let wanted = Type::group_type_builder(schema.name()).with_fields(fields).build().map_err(damaged)?;
        let rows = RowIter::from_file_into(Box::new(reader)).project(Some(wanted)).map_err(damaged)?;
        Ok(Self { names: Some(names), rows, count: 0 })
    }
}

impl Rows for Parquet {
    fn next(&mut self, path: &Path, row: &mut Row) -> Result<bool> {
        row.clear(self.count);
        if let Some(names) = self.names.take() {
            names.iter().for_each(|name| row.push(name.as_bytes()));
            return Ok(true);
        }
        self.count += 1;
        row.clear(self.count);
        let Some(values) = self.rows.next() else { return Ok(false) };
        let values = values.map_err(|error| anyhow!("{}: row {}: {error}", path.display(), self.count))?;
        values.get_column_iter().for_each(|(_, value)| push(value, row));
        Ok(true)
    }

    fn is_named(&self) -> bool {
        true
    }
}

/// A value as a cell: moments in seconds, nothing where there is none.
fn push(value: &Field, row: &mut Row) {
    let mut number = |value: f64| row.push(value.to_string().as_bytes());
    match value {
        Field::Date(days) => number(f64::from(*days) * 86_400.),
        Field::TimestampMillis(value) => number(*value as f64 / 1e3),
        Field::TimestampMicros(value) => number(*value as f64 / 1e6),
        // not in an exponent's form, in which ids would not be what they are elsewhere
        Field::Float(value) => number(f64::from(*value)),
        Field::Double(value) => number(*value),
        Field::Str(text) => row.push(text.as_bytes()),
        Field::Bytes(bytes) => row.push(bytes.data()),
        Field::Null => row.push(b""),
        other => row.push(other.to_string().as_bytes()),
    }
}
