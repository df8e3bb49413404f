//! XML to small trees, one subtree at a time, with bounded depth and size.

use quick_xml::escape::unescape;
use quick_xml::events::{BytesStart, Event};

use super::{Error, one_line};

const MAX_DEPTH: usize = 64;
/// Elements in one subtree, far above any real measure.
const MAX_ELEMENTS: usize = 500_000;

/// An element with everything in it.
#[derive(Debug)]
pub struct Element<'a> {
    start: BytesStart<'a>,
    /// Its own text, without that of its children.
    text: String,
    children: Vec<Element<'a>>,
}

impl<'a> Element<'a> {
    fn new(start: BytesStart<'a>) -> Self {
        Self { start, text: String::new(), children: Vec::new() }
    }

    /// Name without a namespace prefix.
    pub fn name(&self) -> &str {
        self.start.local_name().into_inner()
    }

    /// Text without the white space around it.
    pub fn text(&self) -> &str {
        self.text.trim()
    }

    /// An attribute's value; `None` where it is absent or damaged.
    pub fn attribute(&self, name: &str) -> Option<String> {
        attribute(&self.start, name)
    }

    /// Every child element, in order.
    pub fn all(&self) -> &[Element<'a>] {
        &self.children
    }

    /// The child elements of one name.
    pub fn children<'s>(&'s self, name: &str) -> impl Iterator<Item = &'s Element<'a>> {
        self.children.iter().filter(move |child| child.name() == name)
    }

    /// The first child element of one name.
    pub fn child(&self, name: &str) -> Option<&Element<'a>> {
        self.children(name).next()
    }

    /// The text of the first child element of one name, where it has any.
    pub fn text_of(&self, name: &str) -> Option<&str> {
        self.child(name).map(Element::text).filter(|text| !text.is_empty())
    }
}

/// An attribute's value; `None` where it is absent or damaged.
pub fn attribute(start: &BytesStart<'_>, name: &str) -> Option<String> {
    let attribute = start.try_get_attribute(name).ok()??;
    unescape(&attribute.value).ok().map(|value| value.trim().to_owned())
}

/// A start or end tag directly inside the element that is being read.
pub enum Tag<'a> {
    /// A child begins.
    Start(BytesStart<'a>),
    /// The element itself ends.
    End,
}

/// Reads text tag by tag; an empty element counts as a start and an end.
pub struct Reader<'a> {
    reader: quick_xml::Reader<&'a [u8]>,
}

impl<'a> Reader<'a> {
    /// A reader at the beginning of a document.
    pub fn new(text: &'a str) -> Self {
        let mut reader = quick_xml::Reader::from_str(text);
        reader.config_mut().expand_empty_elements = true;
        Self { reader }
    }

    /// The root element; a DOCTYPE before it is skipped and its entities are never expanded.
    pub fn root(&mut self) -> Result<BytesStart<'a>, Error> {
        match self.next_tag("there is no root element")? {
            Tag::Start(start) => Ok(start),
            Tag::End => Err(self.error("an end tag comes first")),
        }
    }

    /// The next child's start, or the end of the element inside which the reader stands.
    pub fn tag(&mut self) -> Result<Tag<'a>, Error> {
        self.next_tag("the file ends inside an element; it is truncated")
    }

    fn next_tag(&mut self, at_end: &str) -> Result<Tag<'a>, Error> {
        loop {
            match self.event()? {
                Event::Start(start) => return Ok(Tag::Start(start)),
                Event::End(_) => return Ok(Tag::End),
                Event::Eof => return Err(self.error(at_end)),
                _ => {}
            }
        }
    }

    /// Skips what is inside the element that has just started.
    pub fn skip(&mut self) -> Result<(), Error> {
        let mut depth = 1usize;
        while depth > 0 {
            match self.tag()? {
                Tag::Start(_) => depth += 1,
                Tag::End => depth -= 1,
            }
        }
        Ok(())
    }

    /// The element that has just started, read to its end.
    pub fn subtree(&mut self, start: BytesStart<'a>) -> Result<Element<'a>, Error> {
        let mut open = Vec::new();
        let mut element = Element::new(start);
        let mut elements = 1;
        loop {
            match self.event()? {
                Event::Start(start) => {
                    elements += 1;
                    if open.len() >= MAX_DEPTH || elements > MAX_ELEMENTS {
                        return Err(self.error("elements nested too deep or too many"));
                    }
                    open.push(std::mem::replace(&mut element, Element::new(start)));
                }
                Event::End(_) => match open.pop() {
                    Some(parent) => {
                        let child = std::mem::replace(&mut element, parent);
                        element.children.push(child);
                    }
                    None => return Ok(element),
                },
                // the white space between children is not worth its memory
                Event::Text(text) if element.text.is_empty() && text.trim().is_empty() => {}
                Event::Text(text) => element.text.push_str(&text),
                Event::CData(text) => element.text.push_str(&text),
                Event::GeneralRef(reference) => {
                    let resolved = unescape(&format!("&{};", &*reference)).map(|text| text.into_owned());
                    element.text.push_str(&resolved.map_err(|error| self.error(&error.to_string()))?);
                }
                Event::Eof => return Err(self.error("the file ends inside an element; it is truncated")),
                _ => {}
            }
        }
    }

    fn event(&mut self) -> Result<Event<'a>, Error> {
        self.reader.read_event().map_err(|error| self.error(&error.to_string()))
    }

    fn error(&self, what: &str) -> Error {
        Error::Xml { at: self.reader.buffer_position(), what: one_line(what) }
    }
}
