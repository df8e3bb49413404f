//! A conversation as the text that a model was taught to answer: Jinja templates as transformers renders them.

use super::{CONFIG, line, named};
use crate::checkpoint::Files;
use crate::checkpoint::gguf::{Gguf, List};
use candle_core::Result;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, Error, ErrorKind, Value, context};
use serde::{Deserialize, Serialize};
use serde_json::Map;

/// One turn of a conversation, with whatever else it carries.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// `system`, `user`, `assistant` or what the template knows besides.
    pub role: String,
    /// What is said.
    pub content: String,
    /// Further fields that a template may ask for.
    #[serde(flatten)]
    pub more: Map<String, serde_json::Value>,
}

impl Message {
    /// A turn without more.
    pub fn new(role: &str, content: &str) -> Self {
        Self { role: role.to_string(), content: content.to_string(), more: Map::new() }
    }
}

/// A template and the tokens that it may name.
pub struct Template {
    source: String,
    tokens: Map<String, serde_json::Value>,
}

const FILE: &str = "chat_template.jinja";
/// What a template may do: some hundred steps a message are usual.
const FUEL: u64 = 5_000_000;
/// The longest text that a template may make.
const LONGEST: usize = 16 << 20;

impl Template {
    /// The template of a model's folder: `chat_template.jinja`, or `chat_template` in `tokenizer_config.json`; nothing
    /// where the model has none. Of several, the one called `default`.
    ///
    /// # Errors
    /// One line on a file that is not as it must be.
    pub fn open(files: &Files) -> Result<Option<Self>> {
        let config: Map<String, serde_json::Value> = match files.has(CONFIG) {
            true => files.json(CONFIG)?,
            false => Map::new(),
        };
        let mut tokens = Map::new();
        for name in ["bos_token", "eos_token", "unk_token", "pad_token"] {
            if let Some(token) = named(&config, name) {
                tokens.insert(name.to_string(), token.into());
            }
        }
        if files.has(FILE) {
            let bytes = files.read(FILE, LONGEST as u64)?;
            let Ok(source) = String::from_utf8(bytes) else { refuse!("{}: not text", files.describe(FILE)) };
            return Ok(Some(Self { source, tokens }));
        }
        let source = match config.get("chat_template") {
            None | Some(serde_json::Value::Null) => return Ok(None),
            Some(serde_json::Value::String(source)) => source.clone(),
            Some(serde_json::Value::Array(named)) => {
                let of = |name: &str| named.iter().find(|one| one["name"] == name)?["template"].as_str();
                match of("default").or_else(|| named.first()?["template"].as_str()) {
                    Some(source) => source.to_string(),
                    None => refuse!("{}: chat_template names none", files.describe(CONFIG)),
                }
            }
            Some(_) => refuse!("{}: chat_template is neither a text nor a list", files.describe(CONFIG)),
        };
        Ok(Some(Self { source, tokens }))
    }

    /// The template in a GGUF file's metadata; nothing where it has none.
    ///
    /// # Errors
    /// Metadata that is not as it must be.
    pub fn from_gguf(gguf: &Gguf) -> Result<Option<Self>> {
        let meta = gguf.metadata();
        let Some(source) = meta.text("tokenizer.chat_template")? else { return Ok(None) };
        let mut tokens = Map::new();
        for (name, key) in [("bos_token", "bos_token_id"), ("eos_token", "eos_token_id")] {
            let id = meta.size(&format!("tokenizer.ggml.{key}"))?;
            if let (Some(id), Some(List::Text(texts))) = (id, meta.list("tokenizer.ggml.tokens")?)
                && let Some(token) = texts.get(id)
            {
                tokens.insert(name.to_string(), token.clone().into());
            }
        }
        Ok(Some(Self { source: source.to_string(), tokens }))
    }

    /// A template by its text, and the tokens that it may name, such as (`bos_token`, `<s>`).
    pub fn new(source: &str, tokens: &[(&str, &str)]) -> Self {
        let tokens =
            tokens.iter().map(|(name, token)| (name.to_string(), token.to_string().into())).collect();
        Self { source: source.to_string(), tokens }
    }

    /// The text of a conversation; `answer` adds the beginning of the assistant's next turn.
    ///
    /// # Errors
    /// One line on a template that is wrong, refuses the conversation, or does too much.
    pub fn render(&self, messages: &[Message], answer: bool) -> Result<String> {
        match self.try_render(messages, answer) {
            Ok(text) if text.len() > LONGEST => {
                refuse!("the chat template made {} bytes, which is too long", text.len())
            }
            Ok(text) => Ok(text),
            Err(error) if error.kind() == ErrorKind::OutOfFuel => {
                refuse!("the chat template does not come to an end")
            }
            Err(error) => {
                let detail = error.detail().map_or_else(|| error.kind().to_string(), str::to_string);
                let place = error.line().map(|line| format!(" in line {line}")).unwrap_or_default();
                refuse!("the chat template{place}: {}", line(&detail))
            }
        }
    }

    fn try_render(&self, messages: &[Message], answer: bool) -> std::result::Result<String, Error> {
        let mut environment = Environment::new();
        environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
        environment.set_fuel(Some(FUEL));
        environment.set_recursion_limit(64);
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_function("raise_exception", |words: String| -> std::result::Result<Value, Error> {
            Err(Error::new(ErrorKind::InvalidOperation, words))
        });
        environment.add_function("strftime_now", strftime_now);
        environment.add_filter("tojson", tojson);
        environment.add_filter("indent", indent);
        environment.add_template("chat", &self.source)?;
        let mut text = Bounded::default();
        let tokens = Value::from(Serde(self.tokens.clone()));
        let messages = Value::from(Serde(messages.to_vec()));
        let given = context! { messages => messages, add_generation_prompt => answer, ..tokens };
        let made = environment.get_template("chat")?.render_captured_to(given, &mut text).map(drop);
        made.map_err(|error| match text.full {
            true => Error::new(ErrorKind::InvalidOperation, "its text is too long"),
            false => error,
        })?;
        String::from_utf8(text.bytes).map_err(|_| Error::new(ErrorKind::InvalidOperation, "its text is none"))
    }
}

/// Text up to a length.
#[derive(Default)]
struct Bounded {
    bytes: Vec<u8>,
    full: bool,
}

impl std::io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.bytes.len() + bytes.len() > LONGEST {
            self.full = true;
            return Err(std::io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Lines after the first moved to the right, as Jinja does it: a line break at the end stays.
fn indent(
    text: String,
    width: Option<usize>,
    kwargs: minijinja::value::Kwargs,
) -> std::result::Result<String, Error> {
    let given: Option<usize> = kwargs.get("width")?;
    let [first, blank] = ["first", "blank"].map(|name| kwargs.get::<Option<bool>>(name));
    let (first, blank) = (first?.unwrap_or(false), blank?.unwrap_or(false));
    kwargs.assert_all_used()?;
    let spaces = " ".repeat(width.or(given).unwrap_or(4).min(256));
    let line = |(number, line): (usize, &str)| match (number > 0 || first) && (blank || !line.is_empty()) {
        true => format!("{spaces}{line}"),
        false => line.to_string(),
    };
    Ok(text.split('\n').enumerate().map(line).collect::<Vec<_>>().join("\n"))
}

/// JSON as Python writes it: a space after commas and colons, characters as they are.
fn tojson(value: Value, kwargs: minijinja::value::Kwargs) -> std::result::Result<Value, Error> {
    let indent: Option<usize> = kwargs.get("indent")?;
    kwargs.assert_all_used()?;
    let wrong = |error: serde_json::Error| Error::new(ErrorKind::InvalidOperation, error.to_string());
    let value = serde_json::to_value(&value).map_err(wrong)?;
    let mut bytes = Vec::new();
    match indent {
        None => {
            let mut writer = serde_json::Serializer::with_formatter(&mut bytes, Spaced);
            value.serialize(&mut writer).map_err(wrong)?;
        }
        Some(indent) => {
            let spaces = " ".repeat(indent.min(64));
            let formatter = serde_json::ser::PrettyFormatter::with_indent(spaces.as_bytes());
            value
                .serialize(&mut serde_json::Serializer::with_formatter(&mut bytes, formatter))
                .map_err(wrong)?;
        }
    }
    let text = String::from_utf8(bytes).map_err(|_| Error::new(ErrorKind::InvalidOperation, "no text"))?;
    Ok(Value::from_safe_string(text))
}

struct Spaced;

impl serde_json::ser::Formatter for Spaced {
    fn begin_array_value<W: ?Sized + std::io::Write>(
        &mut self,
        to: &mut W,
        first: bool,
    ) -> std::io::Result<()> {
        if first { Ok(()) } else { to.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + std::io::Write>(
        &mut self,
        to: &mut W,
        first: bool,
    ) -> std::io::Result<()> {
        if first { Ok(()) } else { to.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + std::io::Write>(&mut self, to: &mut W) -> std::io::Result<()> {
        to.write_all(b": ")
    }
}

/// The date as templates ask for it, in UTC: years, months, days and hours by C's letters.
fn strftime_now(format: String) -> std::result::Result<String, Error> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Ok(date(now.map_or(0, |now| now.as_secs()), &format))
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = ["Thursday", "Friday", "Saturday", "Sunday", "Monday", "Tuesday", "Wednesday"];

fn date(seconds: u64, format: &str) -> String {
    let (days, time) = (seconds / 86_400, seconds % 86_400);
    // years are counted from March, so that a leap day is a year's last
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year + era * 400 + (month <= 2) as u64;
    let mut text = String::new();
    let mut letters = format.chars();
    while let Some(letter) = letters.next() {
        if letter != '%' {
            text.push(letter);
            continue;
        }
        let (month_name, day_name) = (MONTHS[month as usize - 1], DAYS[(days % 7) as usize]);
        text += &match letters.next() {
            Some('Y') => year.to_string(),
            Some('y') => format!("{:02}", year % 100),
            Some('m') => format!("{month:02}"),
            Some('d') => format!("{day:02}"),
            Some('e') => format!("{day:2}"),
            Some('B') => month_name.to_string(),
            Some('b') => month_name[..3].to_string(),
            Some('A') => day_name.to_string(),
            Some('a') => day_name[..3].to_string(),
            Some('H') => format!("{:02}", time / 3600),
            Some('M') => format!("{:02}", time / 60 % 60),
            Some('S') => format!("{:02}", time % 60),
            Some('%') => "%".to_string(),
            Some(other) => format!("%{other}"),
            None => "%".to_string(),
        };
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, expected) in [
            (0, "Thu 1970-01-01 00:00:00"),
            (951_782_400, "Tue 2000-02-29 00:00:00"),
            (1_709_251_199, "Thu 2024-02-29 23:59:59"),
            (4_102_444_800, "Fri 2100-01-01 00:00:00"),
        ] {
            assert_eq!(date(seconds, "%a %Y-%m-%d %H:%M:%S"), expected);
        }
        assert_eq!(date(0, "%d %B %y%%%q"), "01 January 70%%q");
    }
}
