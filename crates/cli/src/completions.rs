//! `APP completions SHELL` and `APP man [VERB]`.

use anyhow::Result;
use clap::{Args, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;

use crate::exit::usage;
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

/// Print the manual page of the app or of one of its verbs, for man(1)
#[derive(Args, Clone, Debug)]
pub struct ManCommand {
    /// The page of this verb
    #[arg(value_name = "VERB")]
    pub verb: Option<String>,
}

impl ManCommand {
    /// Prints a page of the app whose command line is `A`.
    ///
    /// # Errors
    /// A verb that the app does not have.
    pub fn run<A: CommandFactory>(&self) -> Result<()> {
        let mut command = A::command();
        // so that verbs know whose they are
        command.build();
        let page = match &self.verb {
            None => Some(command),
            Some(verb) => command.find_subcommand(verb).cloned(),
        };
        let verb = self.verb.as_deref().unwrap_or_default();
        let Some(page) = page else { return Err(usage(format!("man {verb}: there is no such verb"))) };
        let mut text = Vec::new();
        Man::new(page).render(&mut text)?;
        print_text(&String::from_utf8_lossy(&text))
    }
}
