//! `APP completions SHELL`.

use anyhow::Result;
use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::print::print_text;

/// Print the completions of a shell, to be put where that shell looks for them
#[derive(Args, Clone, Debug)]
pub struct CompletionsCommand {
    /// bash, elvish, fish, powershell or zsh
    #[arg(value_name = "SHELL")]
    pub shell: Shell,
}

impl CompletionsCommand {
    /// Prints the completions of the app whose command line is `A`.
    pub fn run<A: CommandFactory>(&self) -> Result<()> {
        let mut command = A::command();
        let name = command.get_name().to_string();
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut command, name, &mut script);
        print_text(&String::from_utf8_lossy(&script))
    }
}
