//! `text-gen --chat`: a conversation at the terminal.

use std::io::{BufRead, IsTerminal, Write};

use anyhow::{Result, bail};
use cli::{Exit, Progress, print_line, print_text};
use models::tokens::chat::Message;
use text_gen::{Finish, Model, Prompt, Session};

use crate::cli::GenerateArgs;

/// Answers line after line until the input ends.
pub fn run(args: &GenerateArgs) -> Result<Exit> {
    args.compute.apply()?;
    let progress = Progress::new(&args.output.talk);
    let (model, _) = super::load(&args.model, &args.compute, &progress)?;
    if model.template.is_none() {
        bail!(
            "--chat: this model has no chat template, so it was not taught to answer; it continues a PROMPT"
        );
    }
    let request = super::request(args, &model, args.compute.seed());
    let system = args.system.as_deref().map(|words| Message::new("system", words));
    let mut messages: Vec<Message> = system.into_iter().collect();
    let (first, mut session) = (messages.len(), Session::new(&model));
    let terminal = std::io::stdin().is_terminal();
    if terminal {
        progress.status("Ctrl-C stops an answer, Ctrl-D ends the conversation");
    }
    cli::stop_gently();
    let mut lines = std::io::stdin().lock().lines();
    loop {
        if terminal {
            let _ = write!(std::io::stderr(), "> ");
        }
        let Some(line) = lines.next().transpose()? else { break };
        if line.trim().is_empty() {
            continue;
        }
        cli::go_on();
        messages.push(Message::new("user", line.trim_end_matches('\r')));
        let ids = fitting(&model, &mut messages, first, request.max_tokens, &progress)?;
        let mut closed = None;
        let answer = model.generate(&ids, &request, Vec::new(), &mut session, &mut |text| {
            closed = print_text(text).err();
            closed.is_none() && !cli::interrupted()
        })?;
        if let Some(error) = closed {
            return Err(error);
        }
        print_line("")?;
        if answer.finish == Finish::Interrupted {
            progress.status("stopped");
        }
        messages.push(Message::new("assistant", &answer.text));
    }
    Ok(Exit::Done)
}

/// The ids of a conversation; where it is longer than the model can see, its oldest turns are forgotten.
fn fitting(
    model: &Model,
    messages: &mut Vec<Message>,
    first: usize,
    answer: usize,
    progress: &Progress,
) -> Result<Vec<u32>> {
    let room = answer.min(model.context() / 2);
    loop {
        match Prompt::Messages(messages.clone()).ids(model) {
            Ok(ids) if ids.len() + room <= model.context() => return Ok(ids),
            Ok(ids) if messages.len() <= first + 2 => return Ok(ids),
            Err(error) if messages.len() <= first + 2 => return Err(error),
            // a question goes with its answer
            _ => {
                messages.drain(first..first + 2);
                progress.status(
                    "the conversation is longer than the model can see: its oldest turn is forgotten",
                );
            }
        }
    }
}
