//! Who had what, and when: tables on disk to histories.
//!
//! - `table`: rows of a file, whatever stands between its cells; `parquet`: those of a Parquet file
//! - `columns`: which column is what
//! - `log`: rows to [`Log`]: people, items, and what each had
//! - `filter`: what is left out; `split`: what is learned from, and what is kept aside
//! - `catalogue`: items by row, with their titles

mod catalogue;
mod columns;
mod filter;
mod log;
mod parquet;
mod split;
mod table;

pub use catalogue::{Catalogue, read_catalogue};
pub use columns::{Asked, names_people, near};
pub use filter::{Filters, filter};
pub use log::{Histories, Log, Noted, once, read};
pub use split::{Case, Split, by_people, last_of_each, last_of_some};
pub use table::{Table, csv_row};
