//! Words or a conversation -> the ids that are continued.

use anyhow::{Result, bail};
use models::tokens::chat::Message;

use crate::Model;

/// What is to be continued or answered.
#[derive(Debug, Clone, PartialEq)]
pub enum Prompt {
    /// A text, which goes on.
    Text(String),
    /// A conversation, whose next turn is the model's.
    Messages(Vec<Message>),
}

impl Prompt {
    /// A question where the model was taught to answer and `raw` does not say otherwise, else a text to go on from.
    pub fn of(words: &str, system: Option<&str>, raw: bool, model: &Model) -> Result<Self> {
        if raw || model.template.is_none() {
            return match system {
                Some(_) if model.template.is_none() => {
                    bail!(
                        "--system: this model has no chat template, so it cannot be told anything before a text"
                    )
                }
                _ => Ok(Self::Text(words.to_string())),
            };
        }
        let system = system.map(|words| Message::new("system", words));
        Ok(Self::Messages(system.into_iter().chain([Message::new("user", words)]).collect()))
    }

    /// Its ids. A template says itself what stands at the beginning; a text begins as the tokenizer has it.
    ///
    /// # Errors
    /// A conversation without a template or that the template refuses; more ids than the net can see.
    pub fn ids(&self, model: &Model) -> Result<Vec<u32>> {
        let mut ids = match self {
            Self::Text(text) => model.encode(text, true)?,
            Self::Messages(messages) => match &model.template {
                Some(template) => model.encode(&template.render(messages, true)?, false)?,
                None => bail!("this model has no chat template: it continues texts, and answers no messages"),
            },
        };
        if ids.is_empty() {
            match model.defaults.bos_token_id.or_else(|| model.defaults.ends().first().copied()) {
                Some(first) => ids.push(first),
                None => bail!("this model has no token that begins a text: give it a PROMPT"),
            }
        }
        let (found, most) = (ids.len(), model.context());
        if found >= most {
            bail!(
                "the prompt has {found} tokens, and this model sees {most} at once with what it adds: shorten it"
            );
        }
        Ok(ids)
    }
}
