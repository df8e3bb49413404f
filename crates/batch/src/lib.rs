//! Many inputs, one model load: what is done stays done, and no file is ever half there.
//!
//! - `inputs` files and folders on the command line -> a sorted list of inputs
//! - `names` inputs -> what their results are called inside the output folder
//! - `key` input, model, options and schema -> the key that says "this very item"
//! - `run` items -> results, with failures collected and the rest finished
//! - `choice` which items of a list a run does: a part for a job array, those that failed
//! - `journal` the record in the output folder that the next run starts from; `status` what it says
//! - `write` whole files: temp, fsync, rename, fsync of the folder
//! - `temporary` the registry of half-written files, and the sweep after a `kill -9`

mod choice;
mod inputs;
mod journal;
mod key;
mod names;
mod run;
mod status;
mod temporary;
mod write;

pub use choice::{Choice, Shard};
pub use inputs::{Expanded, Input, Wanted, expand, matching};
pub use journal::{Journal, JournalError, Output};
pub use key::{Content, Recipe};
pub use names::{is_output_name, output_names};
pub use run::{Event, Item, Job, Summary, in_item, run};
pub use status::{Status, status};
pub use temporary::{remove_temporary_files, remove_temporary_files_and};
pub use write::{FileSet, WriteError, Writer, write_bytes, write_whole};
